// What was sent on about alerts, by webhook and mail, and what became of it.
import { Fault, moment, useLoaded } from "./parts";
import { go } from "./going";
import { plain } from "./states";
import "./alerts.css";

export interface Notice {
  id: string;
  channel: "webhook" | "mail";
  subject: string;
  state: "waiting" | "sent" | "given_up";
  tries: number;
  created_at: string | null;
  next_at: string | null;
  done_at: string | null;
}

const SIGNS: Record<Notice["state"], string> = { waiting: "○ waiting", sent: "✓ sent", given_up: "✕ given up" };
const A_PAGE = 50;
const EVERY_MS = 10_000; // the service tries as often

function became(one: Notice): string {
  if (one.state !== "waiting") return `${SIGNS[one.state]}, ${moment(one.done_at)}`;
  return one.tries === 0 ? SIGNS.waiting : `${SIGNS.waiting}, next try ${moment(one.next_at)}`;
}

export function NoticeTable({ notices }: { notices: Notice[] }) {
  return (
    <div class="scroller" tabIndex={0} role="region" aria-label="Notices">
      <table>
        <thead><tr><th>When</th><th>By</th><th>What</th><th>What became of it</th><th class="number">Tries</th></tr></thead>
        <tbody>
          {notices.map((one) => (
            <tr key={one.id}><td>{moment(one.created_at)}</td><td>{one.channel}</td><td>{plain(one.subject)}</td><td>{became(one)}</td><td class="number">{one.tries}</td></tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function NoticesPage({ search }: { search: string }) {
  const said = new URLSearchParams(search);
  const state = said.get("state") ?? "";
  const before = said.get("before") ?? "";
  const asked = new URLSearchParams({ limit: String(A_PAGE) });
  if (state !== "") asked.set("state", state);
  if (before !== "") asked.set("before", before);
  const loaded = useLoaded<{ channels: string[]; notices: Notice[]; next_before: string | null }>(`/v1/ops/notices?${asked.toString()}`, EVERY_MS);
  const address = (next: string): string => {
    const parts = new URLSearchParams();
    if (state !== "") parts.set("state", state);
    if (next !== "") parts.set("before", next);
    return parts.size === 0 ? "/ops/notices" : `/ops/notices?${parts.toString()}`;
  };
  const found = loaded.value;
  return (
    <main class="page alerts-page">
      <p class="back"><a href="/ops/alerts">Alerts</a></p>
      <h1>Where notices went</h1>
      <Fault of={loaded} />
      {found !== null && <p>{found.channels.length === 0 ? "No channel is set up: alerts are sent on to nobody." : `Alerts are sent on by ${found.channels.join(" and ")}.`}</p>}
      <search class="filters">
        <label>
          What became of it
          <select value={state} onChange={(event) => go(event.currentTarget.value === "" ? "/ops/notices" : `/ops/notices?state=${event.currentTarget.value}`, { replace: true })}>
            <option value="">Anything</option>
            <option value="waiting">Waiting</option>
            <option value="sent">Sent</option>
            <option value="given_up">Given up</option>
          </select>
        </label>
      </search>
      {found !== null && (found.notices.length === 0 ? <p role="status">There is none.</p> : <NoticeTable notices={found.notices} />)}
      <nav aria-label="More notices" class="deeds">
        {before !== "" && <a href={address("")}>The newest</a>}
        {found?.next_before && <a href={address(found.next_before)}>Older ones</a>}
      </nav>
    </main>
  );
}
