// What is known of a session: its facts, its moves with who made them and what proves them, its device's reports.
import type { Me } from "./api";
import { reportAnchor, type Case, type CaseAlert, type Move, type Report } from "./case";
import { moment } from "./parts";
import { plain } from "./states";

const SAID = ["disowned", "said_shut", "said_broken", "disputed"]; // moves that a rider's word has made
const SHORT = 8; // characters that tell one journal from another

export function whoIs(actor: string, me: Me): string {
  const [kind, name = ""] = actor.split(":", 2);
  if (kind === "operator") return name === me.operator_id ? "you" : `operator ${name}`;
  if (kind === "rider") return "the rider";
  if (kind === "device") return "the device";
  return kind === "rule" ? `rule: ${plain(name)}` : actor;
}

// A moment with its milliseconds, for what is compared to the millisecond.
export function exactly(at: string | null): string {
  return at === null ? "–" : new Date(at).toLocaleString(undefined, {
    year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit",
    second: "2-digit", fractionalSecondDigits: 3,
  });
}

export function Facts({ found }: { found: Case }) {
  const { session } = found;
  const facts: [string, string][] = [
    ["Requested", moment(session.requested_at)],
    ["Started", moment(session.started_at)],
    ["Finish pressed", moment(session.finish_requested_at)],
    ["Ended", session.ended_at === null ? "not yet" : moment(session.ended_at)],
    ["Outcome", session.outcome ? plain(session.outcome) : "none yet"],
    ["Reason", session.reason ? plain(session.reason) : "–"],
    ["Session", session.id],
    ["Rider's reference", session.rider_id],
    ["Label", session.label_id],
  ];
  const decides = found.version !== undefined;
  return (
    <section aria-labelledby="facts">
      <h2 id="facts">Facts</h2>
      <dl>{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
      {decides && (
        <p>
          <a href={`/ops/sessions?rider_id=${session.rider_id}`}>All sessions of this rider</a>{", "}
          <a href={`/ops/audit?subject=session:${session.id}`}>who changed what about it</a>
        </p>
      )}
    </section>
  );
}

// Riders say what is wrong by a move, or by an alert that names the session when it changes nothing.
export function Said({ found }: { found: Case }) {
  const moves = found.moves.filter((move) => SAID.includes(move.event));
  const alerts = found.alerts.filter((alert) => alert.detail.includes(`session ${found.session.id}`) && / says/.test(alert.detail));
  if (moves.length + alerts.length === 0) return null;
  return (
    <section aria-labelledby="said">
      <h2 id="said">What the rider said</h2>
      <ul>
        {moves.map((move) => (
          <li key={move.seq}>{moment(move.at)}: {plain(move.event)}{move.event === "disputed" && found.session.reason ? `, ${plain(found.session.reason)}` : ""}</li>
        ))}
        {alerts.map((alert) => <li key={alert.kind}>{moment(alert.opened_at)}: <strong>{plain(alert.kind)}</strong>, {alert.detail}</li>)}
      </ul>
    </section>
  );
}

export function Moves({ moves, me }: { moves: Move[]; me: Me }) {
  return (
    <section aria-labelledby="moves">
      <h2 id="moves">Moves</h2>
      <ol class="moves">
        {moves.map((move) => (
          <li key={move.seq}>
            <p><strong>{plain(move.event)}</strong>, {plain(move.from_state)} → {plain(move.to_state)}</p>
            <p class="small">
              {exactly(move.at)}, by {whoIs(move.actor, me)}
              {move.journal_id !== null && move.report_seq !== null && (
                <>, proved by <a href={`#${reportAnchor(move.journal_id, move.report_seq)}`}>report {move.journal_id.slice(0, SHORT)}/{move.report_seq}</a></>
              )}
            </p>
          </li>
        ))}
      </ol>
    </section>
  );
}

export function Reports({ reports }: { reports: Report[] }) {
  return (
    <section aria-labelledby="reports">
      <h2 id="reports">Reports of the device</h2>
      {reports.length === 0 && <p>None of this time.</p>}
      <ol class="moves">
        {reports.map((one) => (
          <li key={`${one.journal_id}/${one.seq}`} id={reportAnchor(one.journal_id, one.seq)} tabIndex={-1}>
            <p><strong>{plain(one.kind)}</strong>, report {one.journal_id.slice(0, SHORT)}/{one.seq}</p>
            <p class="small">
              speaks of {exactly(one.at)}, came {exactly(one.received_at)};{" "}
              {one.is_signed ? `✓ signature checked, key ${one.key_id}` : <strong class="unsigned">✕ not signed by a key of this device</strong>}
            </p>
          </li>
        ))}
      </ol>
    </section>
  );
}

export function Alerts({ alerts }: { alerts: CaseAlert[] }) {
  if (alerts.length === 0) return null;
  return (
    <section aria-labelledby="case-alerts">
      <h2 id="case-alerts">Alerts of the device meanwhile</h2>
      <ul>
        {alerts.map((alert) => (
          <li key={alert.kind + alert.opened_at}>
            <strong>{plain(alert.kind)}</strong>: {alert.detail} ({moment(alert.opened_at)} to {alert.cleared_at === null ? "now" : moment(alert.cleared_at)})
          </li>
        ))}
      </ul>
    </section>
  );
}
