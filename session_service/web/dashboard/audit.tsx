// The audit: who did what, when and why, by person, action, subject and time; and whether the record is whole.
import { useState } from "preact/hooks";
import { get } from "./api";
import { Cards, type Column } from "./cards";
import { changed, change } from "./money_span";
import { useExactly, useSaid, Waiting } from "./money_parts";
import { Fault, message, moment } from "./parts";
import "./money.css";
import "./audit.css";

const PAGE = 100; // rows
const DAY_MS = 86_400_000;
const FILTERS = ["actor", "action", "subject", "from", "to"] as const;

interface AuditRow {
  id: number;
  at: string | null;
  actor: string;
  actor_name: string | null;
  action: string;
  subject: string;
  why: string;
  hash: string;
}

interface AuditRows {
  rows: AuditRow[];
  next_before: number | null;
}

// The first moment of a day, by this browser's clock.
const begins = (day: string): number => new Date(`${day}T00:00`).getTime();

function asked(said: URLSearchParams): string {
  const wanted = new URLSearchParams({ limit: String(PAGE) });
  for (const name of ["actor", "action", "subject", "before"]) if (said.get(name)) wanted.set(name, said.get(name) ?? "");
  const [from, to] = [said.get("from"), said.get("to")];
  if (from) wanted.set("since_ms", String(begins(from)));
  if (to) wanted.set("until_ms", String(begins(to) + DAY_MS));
  return wanted.toString();
}

export function AuditPage({ url }: { url: URL }) {
  const loaded = useExactly<AuditRows>(`/v1/ops/audit?${asked(url.searchParams)}`);
  const found = loaded.value;
  const later = url.searchParams.has("before");
  return (
    <main class="page audit">
      <h1>Audit</h1>
      <Filters url={url} rows={found?.rows ?? []} />
      <section aria-labelledby="rows">
        <h2 id="rows">What people and rules did, the newest first</h2>
        <Fault of={loaded} />
        {found === null ? <Waiting of={loaded} /> : <Rows url={url} rows={found.rows} />}
        <p class="pages">
          {later && <a href={changed(url, { before: "" })}>The newest</a>}
          {found?.next_before != null && <a href={changed(url, { before: String(found.next_before) })}>Older ones</a>}
        </p>
      </section>
      <Chain />
    </main>
  );
}

function Filters({ url, rows }: { url: URL; rows: AuditRow[] }) {
  const said = url.searchParams;
  const form = useSaid(Object.fromEntries(FILTERS.map((name) => [name, said.get(name) ?? ""])));
  const people = new Map(rows.map((row) => [row.actor, row.actor_name ?? row.actor]));
  const send = (event: SubmitEvent): void => {
    event.preventDefault();
    const wish = new FormData(event.currentTarget as HTMLFormElement);
    change(url, { ...Object.fromEntries(FILTERS.map((name) => [name, String(wish.get(name) ?? "").trim()])), before: "" });
  };
  const field = (name: (typeof FILTERS)[number], word: string, more: object = {}) => (
    <label>{word}<input name={name} autocomplete="off" maxLength={60} {...more} /></label>
  );
  return (
    <search class="span">
      <form ref={form} onSubmit={send}>
        {field("actor", "Who, as operator:ID", { list: "people" })}
        <datalist id="people">{[...people].map(([id, name]) => <option key={id} value={id}>{name}</option>)}</datalist>
        {field("action", "What it begins with", { list: "actions" })}
        <datalist id="actions">{[...new Set(rows.map((row) => row.action))].map((one) => <option key={one} value={one} />)}</datalist>
        {field("subject", "To what, as device:ID")}
        {field("from", "First day", { type: "date" })}
        {field("to", "Last day", { type: "date" })}
        <button type="submit">Show</button>
        {FILTERS.some((name) => said.has(name)) && <a class="file" href={url.pathname}>Show all</a>}
      </form>
    </search>
  );
}

function Rows({ url, rows }: { url: URL; rows: AuditRow[] }) {
  if (rows.length === 0) return <p>Nothing like that was done.</p>;
  const columns: Column<AuditRow>[] = [
    { word: "At", look: "at", of: (row) => moment(row.at) },
    { word: "Who", of: (row) => <a href={changed(url, { actor: row.actor, before: "" })}>{row.actor_name ?? row.actor}</a> },
    { word: "What", of: (row) => <a href={changed(url, { action: row.action, before: "" })}>{row.action}</a> },
    { word: "To what", of: (row) => <><a href={changed(url, { subject: row.subject, before: "" })}>{row.subject}</a> <Open subject={row.subject} /></> },
    { word: "Why", look: "why", of: (row) => row.why },
    { word: "Row", look: "number id", of: (row) => row.id },
  ];
  return <Cards label="Audit" rows={rows} columns={columns} keyOf={(row) => String(row.id)} />;
}

const PAGES_OF: Record<string, (id: string) => string> = {
  device: (id) => `/ops/devices/${id}`, session: (id) => `/ops/sessions/${id}`, tariff: () => "/ops/tariffs",
};

function Open({ subject }: { subject: string }) {
  const [sort = "", id = ""] = subject.split(":");
  const page = PAGES_OF[sort];
  return page && id ? <a href={page(id)} aria-label={`Open ${subject}`}>↗</a> : null;
}

interface Verification {
  right: number;
  broken: number;
  breaks: string[];
  head: string;
  head_found: boolean;
  rows: number;
  next_from: number | null;
}

interface Verdict extends Verification {
  done: boolean;
  kept: string;
}

// The chain is checked stretch by stretch, so that a long one keeps nobody waiting; the page adds the findings up.
async function verify(kept: string, tell: (verdict: Verdict) => void): Promise<void> {
  let sum: Verdict = { right: 0, broken: 0, breaks: [], head: "", head_found: false, rows: 0, next_from: 1, done: false, kept };
  while (sum.next_from !== null) {
    const next = await get<Verification>(`/v1/ops/audit/verification?from_id=${sum.next_from}${kept === "" ? "" : `&head=${kept}`}`);
    sum = {
      ...next, kept, right: sum.right + next.right, broken: sum.broken + next.broken, breaks: [...sum.breaks, ...next.breaks].slice(0, 20),
      head_found: sum.head_found || next.head_found, done: next.next_from === null,
    };
    tell(sum);
  }
}

function Chain() {
  const [verdict, setVerdict] = useState<Verdict | null>(null);
  const [fault, setFault] = useState("");
  const [busy, setBusy] = useState(false);
  async function start(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const kept = String(new FormData(event.currentTarget as HTMLFormElement).get("head") ?? "").trim();
    setBusy(true);
    setFault("");
    setVerdict(null);
    await verify(kept, setVerdict).catch((error: unknown) => setFault(message(error)));
    setBusy(false);
  }
  return (
    <section aria-labelledby="chain">
      <h2 id="chain">Is the record whole?</h2>
      <p>Each row carries the hash of the one before it. A row that was changed, removed or put in breaks the chain.</p>
      <form class="reason" onSubmit={(event) => void start(event)}>
        <label>A hash that was kept elsewhere, if there is one<input name="head" pattern="[0-9a-f]{64}" autocomplete="off" /></label>
        <button class="main" disabled={busy}>Verify the chain</button>
      </form>
      <p class="fault" role="alert">{fault}</p>
      <div role="status" class="verdict">{verdict !== null && <Said verdict={verdict} />}</div>
    </section>
  );
}

function Said({ verdict }: { verdict: Verdict }) {
  const { right, rows, broken, breaks, done, kept, head_found: found, head } = verdict;
  if (!done) return <p>{right.toLocaleString()} of {rows.toLocaleString()} rows are right so far</p>;
  const lost = kept !== "" && !found;
  return (
    <>
      <p class={broken > 0 || lost ? "fault" : "big"}>
        {broken > 0 ? `⚠ Broken: ${broken} findings; ${right.toLocaleString()} rows are right.` : `● Whole: all ${right.toLocaleString()} rows are right.`}
      </p>
      {lost && <p class="fault">⚠ No row has the hash that was kept: rows were removed at the end, or all from some row on was written anew.</p>}
      <ul>{breaks.map((one) => <li key={one}>{one}</li>)}</ul>
      <p class="small">The newest hash is {head}. Keep it where nobody who can write to the database can.</p>
    </>
  );
}
