// What the pages about sessions share, and the device page's list of the last ones.
import { Cards, type Column } from "./cards";
import { money, moment, useLoaded, Fault } from "./parts";
import { plain } from "./states";
import "./sessions.css";

export interface Session {
  id: string;
  state: string;
  outcome: string | null;
  reason: string | null;
  kind: string;
  number: number;
  label_id: string;
  currency: string;
  hold_minor: number;
  fare_minor: number;
  paid_minor: number;
  requested_at: string | null;
  started_at: string | null;
  finish_requested_at: string | null;
  ended_at: string | null;
  version: number;
  rider_id: string;
  device_id: string;
}

export interface SessionList {
  sessions: Session[];
  next_after: string | null;
}

export const SESSION_ID = "[0-9A-HJKMNP-TV-Z]{26}";
export const LIVE = ["held", "unlocking", "active", "paused", "locking", "settling", "unknown"];
export const STATES = [...LIVE, "review", "closed", "not_unlocked"];
const LAST = 10; // of a device's sessions, on its own page

// The sign goes before the word, as on the map: what waits for a person is to be seen without colour, too.
export function StateWord({ session }: { session: Session }) {
  const waits = session.state === "review" || session.state === "unknown";
  const sign = waits ? "▲" : LIVE.includes(session.state) ? "■" : "●";
  const why = session.state === "review" ? session.reason : session.outcome;
  return (
    <span class={`session-state ${waits ? "waits" : LIVE.includes(session.state) ? "runs" : "over"}`}>
      <span aria-hidden="true">{sign}</span> {plain(session.state)}{why && why !== session.state ? `, ${plain(why)}` : ""}
    </span>
  );
}

export function SessionTable({ sessions, label, withDevice = true }: { sessions: Session[]; label: string; withDevice?: boolean }) {
  const device: Column<Session> = { word: "Device", of: (one) => <a href={`/ops/devices/${one.device_id}`}>{one.kind} {one.number}</a> };
  const columns: Column<Session>[] = [
    { word: "Requested", of: (one) => <a href={`/ops/sessions/${one.id}`}>{moment(one.requested_at)}</a> },
    ...(withDevice ? [device] : []),
    { word: "State", of: (one) => <StateWord session={one} /> },
    { word: "Ended", of: (one) => (one.ended_at === null ? "–" : moment(one.ended_at)) },
    { word: "Fare", look: "number", of: (one) => (one.ended_at === null ? "–" : money(one.fare_minor, one.currency)) },
  ];
  return <Cards label={label} rows={sessions} columns={columns} keyOf={(one) => one.id} />;
}

// The last sessions of a device, with the way to all of them.
export function DeviceSessions({ id }: { id: string }) {
  const found = useLoaded<SessionList>(`/v1/ops/sessions?device_id=${id}&limit=${LAST}`, 5_000);
  return (
    <section aria-labelledby="device-sessions" class="device-sessions">
      <h2 id="device-sessions">Sessions</h2>
      <Fault of={found} />
      {found.value?.sessions.length === 0 && <p>None yet.</p>}
      {found.value && found.value.sessions.length > 0 && (
        <SessionTable sessions={found.value.sessions} label="The last sessions" withDevice={false} />
      )}
      <p><a href={`/ops/sessions?device_id=${id}`}>All sessions of this device</a></p>
    </section>
  );
}
