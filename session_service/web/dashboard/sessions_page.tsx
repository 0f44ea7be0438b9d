// All sessions, those that run first, and the two queues that wait for somebody; filters and place are in the address.
import { covers, type Me } from "./api";
import type { Fleet } from "./fleet";
import { go } from "./going";
import { Fault, useLoaded } from "./parts";
import { LIVE, SESSION_ID, SessionTable, STATES, type SessionList } from "./sessions_parts";
import { plain } from "./states";

const READ_EVERY_MS = 2_000; // a page of 50 costs the service some milliseconds
const PAGE = 50;
const QUEUES: Record<string, string> = { unknown: "Unknown", review: "In review" };
const FILTERS = ["state", "kind", "site", "device_id", "rider_id"];

const WHY: Record<string, string> = {
  unknown: "The lock has not answered. Its own word or the grace time settles these; whoever cannot wait ends one.",
  review: "A person decides these. The oldest first, because its rider has waited longest.",
};

export function SessionsPage({ url, me, fleet }: { url: URL; me: Me; fleet: Fleet }) {
  const said = url.searchParams;
  const queue = said.get("queue") ?? "";
  const asked = new URLSearchParams({ limit: String(PAGE), order: queue in QUEUES ? "oldest" : "running" });
  if (queue in QUEUES) asked.set("state", queue);
  for (const name of [...FILTERS, "after"]) {
    const value = said.get(name);
    if (value && !asked.has(name)) asked.set(name, value);
  }
  const found = useLoaded<SessionList>(`/v1/ops/sessions?${asked}`, READ_EVERY_MS);
  const counted = useLoaded<{ counts: Record<string, number> }>("/v1/ops/sessions/counts", READ_EVERY_MS);
  const sessions = found.value?.sessions ?? [];
  return (
    <main class="page sessions-page">
      <h1>Sessions</h1>
      <Tabs queue={queue} counts={counted.value?.counts ?? null} />
      <Filters key={url.search} said={said} queue={queue} me={me} fleet={fleet} />
      <Fault of={found} />
      <section aria-label={QUEUES[queue] ?? "All sessions"}>
        {WHY[queue] && <p>{WHY[queue]}</p>}
        {found.value === null && found.fault === "" && <p role="status">Loading</p>}
        {found.value && sessions.length === 0 && <p role="status">None.</p>}
        {sessions.length > 0 && <SessionTable sessions={sessions} label="Sessions" />}
        <Paging said={said} next={found.value?.next_after ?? null} />
      </section>
    </main>
  );
}

const address = (said: URLSearchParams): string => (said.size === 0 ? "/ops/sessions" : `/ops/sessions?${said}`);

function Tabs({ queue, counts }: { queue: string; counts: Record<string, number> | null }) {
  const running = counts && LIVE.reduce((sum, state) => sum + (counts[state] ?? 0), 0);
  const tab = (name: string, word: string, count: number | null) => (
    <a class="tab" href={name === "" ? "/ops/sessions" : `/ops/sessions?queue=${name}`} aria-current={queue === name ? "page" : "false"}>
      {word}{count === null ? "" : ` (${count})`}
    </a>
  );
  return (
    <nav class="tabs" aria-label="Queues">
      {tab("", "All, running", running)}
      {Object.entries(QUEUES).map(([name, word]) => tab(name, word, counts && (counts[name] ?? 0)))}
    </nav>
  );
}

interface Asked {
  said: URLSearchParams;
  queue: string;
  me: Me;
  fleet: Fleet;
}

function Filters({ said, queue, me, fleet }: Asked) {
  function change(name: string, value: string): void {
    const next = new URLSearchParams(said);
    next.delete("after"); // another selection has other pages
    if (value === "") next.delete(name);
    else next.set(name, value);
    go(address(next));
  }
  const pick = (name: string, word: string, values: string[]) => (
    <label>
      {word}
      <select value={said.get(name) ?? ""} onChange={(event) => change(name, event.currentTarget.value)}>
        <option value="">Any</option>
        {values.map((value) => <option key={value} value={value}>{name === "site" ? value : plain(value)}</option>)}
      </select>
    </label>
  );
  const lines = [...fleet.lines.values()];
  const sites = [...new Set([...lines.map((line) => line.site), said.get("site") ?? ""])].filter((site) => site !== "").sort();
  const device = said.get("device_id") ?? "";
  const held = fleet.ids.get(device);
  const kept = FILTERS.some((name) => said.has(name));
  return (
    <search class="session-filters">
      {queue === "" && pick("state", "State", STATES)}
      {pick("kind", "Kind", ["bike", "pod"])}
      {pick("site", "Site", sites)}
      <Text word="Device's number" value={held ? String(held.number) : device} pattern="[0-9]{1,6}" ready={fleet.ready}
        onSet={(text) => change("device_id", text === "" ? "" : (fleet.lines.get(Number(text))?.id ?? "0".repeat(10)))} />
      {covers(me.role, "operator") && (
        <Text word="Rider's reference" value={said.get("rider_id") ?? ""} pattern={SESSION_ID} onSet={(text) => change("rider_id", text)} />
      )}
      <button type="button" disabled={!kept} onClick={() => go(queue === "" ? "/ops/sessions" : `/ops/sessions?queue=${queue}`)}>Clear</button>
    </search>
  );
}

// Something that is typed, and asked for with Enter; `ready` once it is known what could be meant.
function Text({ word, value, pattern, ready = true, onSet }: { word: string; value: string; pattern: string; ready?: boolean; onSet: (text: string) => void }) {
  function send(event: SubmitEvent): void {
    event.preventDefault();
    onSet(String(new FormData(event.currentTarget as HTMLFormElement).get("text")).trim());
  }
  return (
    <form onSubmit={send}>
      <label>{word}<input type="search" name="text" defaultValue={value} pattern={pattern} disabled={!ready} enterkeyhint="search" autocomplete="off" /></label>
    </form>
  );
}

function Paging({ said, next }: { said: URLSearchParams; next: string | null }) {
  const at = (place: string | null): string => {
    const there = new URLSearchParams(said);
    there.delete("after");
    if (place !== null) there.set("after", place);
    return address(there);
  };
  if (next === null && !said.has("after")) return null;
  return (
    <p class="paging">
      {said.has("after") && <a href={at(null)}>First page</a>}
      {next !== null && <a href={at(next)}>Next page</a>}
    </p>
  );
}
