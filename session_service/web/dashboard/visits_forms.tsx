// The forms of a visit: to whom it is given, what the next one should know, and what has been done there.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Colleagues } from "./alerts_live";
import { inWords } from "./alerts_words";
import type { Visit } from "./visits_entry";

// Whoever opens a form goes on in its first field, with the very next key.
function useFirstField() {
  const form = useRef<HTMLFormElement>(null);
  useLayoutEffect(() => form.current?.querySelector<HTMLElement>("select, input, textarea")?.focus(), []);
  return form;
}

function useBusy(send: () => Promise<void>): [boolean, (event: SubmitEvent) => void] {
  const [busy, setBusy] = useState(false);
  return [busy, (event) => {
    event.preventDefault();
    setBusy(true);
    void send().finally(() => setBusy(false));
  }];
}

export function AssignForm({ now, people, onSend }: { now: string | null; people: Colleagues; onSend: (to: string | null) => Promise<void> }) {
  const form = useFirstField();
  const [to, setTo] = useState(now ?? "");
  const [busy, submit] = useBusy(() => onSend(to === "" ? null : to));
  return (
    <form class="reason" ref={form} onSubmit={submit}>
      <label>
        Who goes there
        <select value={to} onChange={(event) => setTo(event.currentTarget.value)}>
          <option value="">Nobody</option>
          {people.all.filter((one) => one.goes_there).map((one) => <option key={one.operator_id} value={one.operator_id}>{one.name}</option>)}
        </select>
      </label>
      <button class="main" disabled={busy}>Assign now</button>
    </form>
  );
}

export function NoteForm({ onSend }: { onSend: (text: string) => Promise<void> }) {
  const form = useFirstField();
  const [text, setText] = useState("");
  const [busy, submit] = useBusy(() => onSend(text.trim()));
  return (
    <form class="reason" ref={form} onSubmit={submit}>
      <label>For the next one who goes there<textarea required maxLength={500} rows={2} value={text} onInput={(event) => setText(event.currentTarget.value)} /></label>
      <button class="main" disabled={busy || text.trim() === ""}>Write it down</button>
    </form>
  );
}

// A held, uncleaned or mended thing waits for this alone, so it may be let again with the same word.
const WAITS = new Set(["held", "cleaning", "maintenance"]);

export function DoneForm({ visit, onSend }: { visit: Visit; onSend: (body: object) => Promise<void> }) {
  const form = useFirstField();
  const [left, setLeft] = useState<readonly string[]>([]); // alerts that have not been seen to
  const [free, setFree] = useState(visit.service !== null && WAITS.has(visit.service));
  const [reason, setReason] = useState("");
  const ids = visit.alerts.map((one) => one.id).filter((id) => !left.includes(id));
  const [busy, submit] = useBusy(() => onSend({ alert_ids: ids, reason: reason.trim(), free: free && visit.device_id !== null }));
  return (
    <form class="reason" ref={form} onSubmit={submit}>
      <label>What was done<input required minLength={3} maxLength={200} autocomplete="off" value={reason} onInput={(event) => setReason(event.currentTarget.value)} /></label>
      {visit.alerts.length > 1 && (
        <fieldset>
          <legend>Seen to</legend>
          {visit.alerts.map((one) => (
            <label key={one.id} class="tick">
              <input type="checkbox" checked={!left.includes(one.id)} onChange={(event) => setLeft(event.currentTarget.checked ? left.filter((id) => id !== one.id) : [...left, one.id])} />
              {inWords(one.kind)}
            </label>
          ))}
        </fieldset>
      )}
      {visit.device_id !== null && visit.service !== null && WAITS.has(visit.service) && (
        <label class="tick"><input type="checkbox" checked={free} onChange={(event) => setFree(event.currentTarget.checked)} />Riders may have it again</label>
      )}
      <button class="main" disabled={busy || ids.length === 0}>Done now</button>
    </form>
  );
}
