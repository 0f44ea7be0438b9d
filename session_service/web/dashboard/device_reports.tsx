// All that a device has reported, the newest first, a page at a time: what it said, when, and whether it signed it.
import { go } from "./going";
import { Fault, moment, useLoaded } from "./parts";
import { plain } from "./states";

const PAGE = 50;
const AGAIN_MS = 5_000; // of the newest page; those before it do not change
const NAME_CHARS = 8; // of a journal's random name: enough to tell two apart

interface Report {
  journal_id: string;
  seq: number;
  kind: string;
  said: Record<string, unknown>;
  status: Record<string, unknown>;
  at: string | null;
  received_at: string | null;
  uptime_ms: number;
  command_id: string | null;
  verdict: string;
  key_id: string | null;
}

export function Reports({ id, url }: { id: string; url: URL }) {
  const before = url.searchParams.get("before") ?? "";
  const path = `/v1/ops/devices/${id}/reports?limit=${PAGE}${before === "" ? "" : `&before=${encodeURIComponent(before)}`}`;
  const read = useLoaded<{ rows: Report[]; next_before: string | null }>(path, before === "" ? AGAIN_MS : 0);
  const here = `${url.pathname}?view=reports`;
  const next = read.value?.next_before ?? null;
  return (
    <section aria-labelledby="reports" class="reports">
      <h2 id="reports">Reports</h2>
      <Fault of={read} />
      {read.value === null && read.fault === "" && <p role="status">Loading</p>}
      {read.value?.rows.length === 0 && <p>{before === "" ? "None yet." : "None before these."}</p>}
      {read.value && read.value.rows.length > 0 && <Lines rows={read.value.rows} />}
      <div class="paging">
        <button type="button" disabled={before === ""} onClick={() => go(here)}>Newest</button>
        <button type="button" disabled={next === null} onClick={() => next !== null && go(`${here}&before=${encodeURIComponent(next)}`)}>Older</button>
      </div>
    </section>
  );
}

function Lines({ rows }: { rows: Report[] }) {
  return (
    <div class="wide" role="region" aria-label="Reports, newest first" tabIndex={0}>
      <table>
        <thead>
          <tr><th scope="col">Came</th><th scope="col">What it said</th><th scope="col">Of</th><th scope="col" class="number">Number</th><th scope="col">Journal</th><th scope="col">Signature</th></tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={`${row.journal_id}.${row.seq}`}>
              <td>{moment(row.received_at)}</td>
              <td><strong>{plain(row.kind)}</strong> {facts(row.said)}<span class="small"> {facts(row.status)}</span></td>
              <td>{late(row)}</td>
              <td class="number">{row.seq}</td>
              <td title={row.journal_id}>{row.journal_id.slice(0, NAME_CHARS)}</td>
              <td>{row.verdict === "verified" ? <>✓ {row.key_id}</> : <strong class="low">⚠ {plain(row.verdict)}</strong>}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

// When it was true: the same moment for most, long before it came for a device that was away.
function late({ at, received_at }: Report): string {
  if (at === null || received_at === null) return "not known";
  const ms = Date.parse(received_at) - Date.parse(at);
  return ms < 2_000 ? `${Math.max(0, ms)} ms before` : moment(at);
}

function facts(said: Record<string, unknown>): string {
  return Object.entries(said).map(([name, value]) => `${plain(name)} ${inWords(value)}`).join(", ");
}

function inWords(value: unknown): string {
  if (typeof value === "object" && value !== null) {
    return Object.values(value).map((one) => (typeof one === "number" ? String(Math.round(one * 1e5) / 1e5) : String(one))).join(" ");
  }
  if (typeof value === "boolean") return value ? "yes" : "no";
  return plain(String(value));
}
