// Views of the fleet that an operator keeps: the present filter under a name, on the server, so on the phone too.
import { useRef, useState } from "preact/hooks";
import { post, remove } from "./api";
import { Fault, message, useLoaded } from "./parts";
import "./views.css";

interface View {
  id: string;
  name: string;
  query: string;
}

// `query` is what the page shows now, as the address has it.
export function Views({ query }: { query: string }) {
  const loaded = useLoaded<{ views: View[] }>("/v1/ops/views");
  const [name, setName] = useState("");
  const [said, say] = useState("");
  const list = useRef<HTMLElement>(null);
  const now = query.replace(/^\?/, "");
  const views = loaded.value?.views ?? [];
  async function act(work: () => Promise<unknown>, words: string): Promise<void> {
    say("");
    try {
      await work();
      say(words);
    } catch (error) {
      say(message(error));
    }
    await loaded.again();
  }
  async function keep(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const wanted = name.trim();
    await act(() => post("/v1/ops/views", { name: wanted, query: now }), `${wanted} is kept.`);
    setName("");
  }
  async function forget(view: View): Promise<void> {
    await act(() => remove(`/v1/ops/views/${view.id}`), `${view.name} is deleted.`);
    list.current?.focus(); // its button is gone
  }
  return (
    <details class="views">
      <summary>Views{views.length > 0 ? ` (${views.length})` : ""}</summary>
      <section class="kept" aria-label="My views" ref={list} tabIndex={-1}>
        <Fault of={loaded} />
        <ul>
          {views.map((view) => (
            <li key={view.id}>
              <a href={view.query === "" ? "/ops" : `/ops?${view.query}`} aria-current={view.query === now ? "true" : "false"}>{view.name}</a>
              <button type="button" aria-label={`Delete the view ${view.name}`} onClick={() => void forget(view)}>✕</button>
            </li>
          ))}
        </ul>
        <form onSubmit={(event) => void keep(event)}>
          <label>Keep what is shown as<input value={name} required maxLength={60} autocomplete="off" onInput={(event) => setName(event.currentTarget.value)} /></label>
          <button disabled={name.trim() === ""}>Keep</button>
        </form>
        <p class="outcome" role="status">{said}</p>
      </section>
    </details>
  );
}
