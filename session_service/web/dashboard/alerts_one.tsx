// One alert: how it stands, what people did about it, what was sent on, and what can be done now.
import { useEffect, useRef, useState } from "preact/hooks";
import { Grave, standing, whereOf } from "./alerts";
import { useAlertsLoaded, useColleagues, type Colleagues } from "./alerts_live";
import { NoticeTable, type Notice } from "./alerts_notices";
import { inWords, type Alert } from "./alerts_words";
import { ApiError, covers, post, type Me } from "./api";
import type { Fleet } from "./fleet";
import { Fault, message, moment, useLoaded } from "./parts";
import { plain } from "./states";

interface History {
  events: { at: string | null; what: string; who: string | null; why: string }[];
  notices: Notice[];
}

const EVENTS: Record<string, string> = {
  raised: "began", cleared: "ended", "alert.acknowledge": "acknowledged", "alert.assign": "assigned", "alert.mute": "muted",
  "alert.unmute": "no longer muted", "alert.clear": "ended",
  "alert.clear_at_visit": "ended at a visit", "visit.note": "note", "visit.done": "visit done",
};
const MUTES: readonly [number, string][] = [[60, "an hour"], [480, "a shift of 8 hours"], [1_440, "a day"], [10_080, "a week"]];

export function AlertPage({ id, me, fleet }: { id: string; me: Me; fleet: Fleet }) {
  const people = useColleagues();
  const loaded = useAlertsLoaded<Alert>(`/v1/ops/alerts/${id}`, fleet);
  const mayAct = covers(me.role, "technician");
  const alert = loaded.value;
  if (alert === null) return <main class="page alerts-page"><p class="back"><a href="/ops/alerts">Alerts</a></p><Fault of={loaded} />{loaded.fault === "" && <p role="status">Loading</p>}</main>;
  const facts: [string, string][] = [
    ["How it stands", standing(alert)],
    ["Since", moment(alert.first_at)],
    ["Last seen", `${moment(alert.last_at)}${alert.count > 1 ? `, ${alert.count} times` : ""}`],
    ["Acknowledged by", alert.acknowledged_by === null ? "nobody" : `${people.named(alert.acknowledged_by)}, ${moment(alert.acknowledged_at)}`],
    ["Looked after by", people.named(alert.assignee)],
    ...(alert.active ? [] : [["Ended by", `${people.named(alert.cleared_by)}, ${moment(alert.cleared_at)}`] as [string, string]]),
    ["Why it matters", alert.why],
  ];
  return (
    <main class="page alerts-page">
      <p class="back"><a href="/ops/alerts">Alerts</a></p>
      <h1>{inWords(alert.kind)}</h1>
      <Fault of={loaded} />
      <section aria-labelledby="now">
        <h2 id="now">Now</h2>
        <p class="big"><Grave of={alert} />, {alert.device_id === null ? whereOf(alert, fleet) : <a href={`/ops/devices/${alert.device_id}`}>{whereOf(alert, fleet)}</a>}{alert.device_id !== null && alert.site ? `, ${alert.site}` : ""}</p>
        {alert.detail !== "" && <p>{plain(alert.detail)}</p>}
        <dl>{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
        {alert.device_id === null && <p><a href={`/ops/alerts?group=${alert.id}`}>The devices for which it stands</a></p>}
        {alert.group_id !== null && <p>It belongs to <a href={`/ops/alerts/${alert.group_id}`}>the alert of its site</a>.</p>}
        {alert.device_id !== null && <p><a href={`/ops/alerts?device=${alert.device_id}&kind=${alert.kind}&state=cleared`}>The same before</a></p>}
      </section>
      {mayAct && <Acts alert={alert} me={me} people={people} again={loaded.again} />}
      {mayAct && <Past id={id} version={alert.version} people={people} />}
    </main>
  );
}

type Verb = "acknowledge" | "assign" | "mute" | "clear";
const WORDS: Record<Verb, string> = { acknowledge: "Acknowledge", assign: "Assign", mute: "Mute", clear: "End it" };

function Acts({ alert, me, people, again }: { alert: Alert; me: Me; people: Colleagues; again: () => Promise<void> }) {
  const [verb, setVerb] = useState<Verb | "">("");
  const [seen, setSeen] = useState(alert.version); // the version that was on the page when the action was chosen
  const [to, setTo] = useState(me.operator_id);
  const [minutes, setMinutes] = useState(60);
  const [reason, setReason] = useState("");
  const [busy, setBusy] = useState(false);
  const [outcome, setOutcome] = useState("");
  const deeds = useRef<HTMLDivElement>(null);
  if (!alert.active) return outcome === "" ? null : <p class="outcome" role="status">{outcome}</p>;
  const bodies: Record<Verb, object> = {
    acknowledge: { reason }, assign: { assignee: to === "" ? null : to, reason }, mute: { minutes, reason }, clear: { reason },
  };
  // What had the focus goes with the form: whoever uses the keyboard goes on beside it.
  function close(): void {
    (deeds.current?.querySelector<HTMLElement>("[aria-pressed=false]") ?? deeds.current)?.focus();
    setVerb("");
  }
  async function send(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    if (verb === "") return;
    setBusy(true);
    setOutcome("");
    try {
      await post<Alert>(`/v1/ops/alerts/${alert.id}/${verb}`, bodies[verb], { "If-Match": `"${seen}"` });
      setOutcome(`${WORDS[verb]}: done.`);
      close();
      setReason("");
    } catch (error) {
      const now = error instanceof ApiError ? (error.problem["alert"] as Alert | undefined) : undefined;
      if (error instanceof ApiError && error.status === 412) close(); // whoever decided saw something else
      setOutcome(`${message(error)}${now ? ` Now it is looked after by ${people.named(now.assignee)}, ${standing(now)}.` : ""}`);
    }
    setBusy(false);
    await again();
  }
  const verbs = (Object.keys(WORDS) as Verb[]).filter((one) => one !== "acknowledge" || alert.acknowledged_at === null);
  return (
    <section aria-labelledby="acts">
      <h2 id="acts">Actions</h2>
      <div class="deeds" role="group" ref={deeds} aria-label="Actions">
        {verbs.map((one) => (
          <button key={one} type="button" aria-pressed={verb === one} onClick={() => (setSeen(alert.version), setOutcome(""), setVerb(verb === one ? "" : one))}>{WORDS[one]}</button>
        ))}
      </div>
      {verb !== "" && (
        <form class="reason" onSubmit={(event) => void send(event)}>
          {verb === "assign" && (
            <label>
              Who looks after it
              <select value={to} onChange={(event) => setTo(event.currentTarget.value)}>
                <option value="">Nobody</option>
                {people.all.filter((one) => one.goes_there).map((one) => <option key={one.operator_id} value={one.operator_id}>{one.name}</option>)}
              </select>
            </label>
          )}
          {verb === "mute" && (
            <label>
              For how long
              <select value={String(minutes)} onChange={(event) => setMinutes(Number(event.currentTarget.value))}>
                {alert.muted_until !== null && <option value="0">Not any more</option>}
                {MUTES.map(([value, word]) => <option key={value} value={String(value)}>{word}</option>)}
              </select>
            </label>
          )}
          <label>
            Reason
            <input name="reason" value={reason} required={verb === "mute" || verb === "clear"} maxLength={200} autocomplete="off" onInput={(event) => setReason(event.currentTarget.value)} />
          </label>
          <button class="main" disabled={busy}>{WORDS[verb]} now</button>
        </form>
      )}
      <p class="outcome" role="status">{outcome}</p>
    </section>
  );
}

function Past({ id, version, people }: { id: string; version: number; people: Colleagues }) {
  const loaded = useLoaded<History>(`/v1/ops/alerts/${id}/history`);
  useEffect(() => void loaded.again(), [version]);
  const history = loaded.value;
  if (history === null) return <Fault of={loaded} />;
  return (
    <section aria-labelledby="past">
      <h2 id="past">History</h2>
      <Fault of={loaded} />
      <ol class="history">
        {history.events.map((event) => (
          <li key={`${event.at}${event.what}${event.why}`}>
            <span class="small">{moment(event.at)}</span> <strong>{EVENTS[event.what] ?? plain(event.what)}</strong>
            {event.who === null ? "" : ` by ${people.named(event.who)}`}{event.why === "" ? "" : `: ${words(event.why, people)}`}
          </li>
        ))}
      </ol>
      <h3>Sent on</h3>
      {history.notices.length === 0 ? <p>Nothing was sent on.</p> : <NoticeTable notices={history.notices} />}
    </section>
  );
}

// An assignment names an operator by id.
const words = (why: string, people: Colleagues): string => plain(why.replace(/\b[0-9A-HJKMNP-TV-Z]{26}\b/, (found) => people.named(found)));
