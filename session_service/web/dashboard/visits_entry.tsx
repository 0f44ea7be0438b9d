// One line of the queue: what is wrong there, since when and who goes, with what can be done about it.
import { useRef, useState } from "preact/hooks";
import type { Colleagues } from "./alerts_live";
import { inWords, SEVERITIES, SEVERITY_SIGN, type Alert } from "./alerts_words";
import { ApiError, post, type Me } from "./api";
import type { Fleet } from "./fleet";
import { Fault, message, moment, useLoaded } from "./parts";
import { age, plain } from "./states";
import { AssignForm, DoneForm, NoteForm } from "./visits_forms";

export interface Visit {
  id: string;
  version: string;
  device_id: string | null;
  number: number | null;
  site: string;
  devices: number;
  score: number;
  because: { kind: string; points: number; why: string }[];
  since: string | null;
  assignee: string | null;
  service: string | null;
  service_reason: string;
  lat: number | null;
  lon: number | null;
  alerts: Alert[];
  notes: { at: string | null; author: string; text: string }[];
}

export function nameOf(visit: Visit, fleet?: Fleet): string {
  if (visit.device_id === null) return `Site ${visit.site}`;
  const kind = fleet?.ids.get(visit.device_id)?.kind ?? "device";
  return `${kind} ${visit.number ?? ""}`;
}

interface Asked {
  visit: Visit;
  me: Me;
  people: Colleagues;
  fleet: Fleet;
  chosen: boolean;
  mayAct: boolean;
  onChosen: (on: boolean) => void;
  onDone: (words: string) => Promise<void> | undefined;
  onForm: (open: boolean) => void; // one of its forms has been opened, or shut
}

type Form = "assign" | "note" | "done";

export function VisitEntry({ visit, me, people, fleet, chosen, mayAct, onChosen, onDone, onForm }: Asked) {
  const name = nameOf(visit, fleet);
  const mine = visit.assignee === me.operator_id;
  const severity = SEVERITIES.find((one) => visit.alerts.some((alert) => alert.severity === one)) ?? "major";
  return (
    <li class="visit" id={`visit-${visit.id}`}>
      <div class="what">
        <label class="pick"><input type="checkbox" checked={chosen} onChange={(event) => onChosen(event.currentTarget.checked)} /><span class="unseen">Choose {name} for the route</span></label>
        <h2>
          <span class={`severity ${severity}`} aria-hidden="true">{SEVERITY_SIGN[severity]}</span>{" "}
          {visit.device_id === null ? name : <a href={`/ops/devices/${visit.device_id}`}>{name}</a>}
          {visit.device_id !== null && <span class="site"> {visit.site || "no site"}</span>}
        </h2>
        <p class="who-goes">{visit.assignee === null ? "Nobody goes there yet" : mine ? "✓ You go there" : `✓ ${people.named(visit.assignee)} goes there`}</p>
      </div>
      <ul class="wrong">
        {visit.alerts.map((alert) => (
          <li key={alert.id}>
            <strong>{inWords(alert.kind)}</strong>{alert.detail ? `: ${plain(alert.detail)}` : ""}, <a href={`/ops/alerts/${alert.id}`}>since {moment(alert.first_at)}</a>
            {alert.count > 1 ? `, seen ${alert.count} times` : ""}
          </li>
        ))}
      </ul>
      {visit.service !== null && visit.service !== "ready" && <p class="small">In service: {visit.service}{visit.service_reason ? `, because: ${plain(visit.service_reason)}` : ""}</p>}
      <Waiting visit={visit} fleet={fleet} />
      {visit.notes.length > 0 && (
        <ul class="notes" aria-label={`Notes about ${name}`}>
          {visit.notes.map((note) => <li key={`${note.at}${note.text}`}>✎ {note.text} <span class="small">{people.named(note.author)}, {moment(note.at)}</span></li>)}
        </ul>
      )}
      {visit.device_id === null && <Members visit={visit} fleet={fleet} />}
      {mayAct && <Deeds visit={visit} name={name} mine={mine} me={me} people={people} onDone={onDone} onForm={onForm} />}
    </li>
  );
}

function Waiting({ visit, fleet }: { visit: Visit; fleet: Fleet }) {
  const waited = visit.since === null ? "" : age(fleet.now() - Date.parse(visit.since));
  return (
    <details class="score">
      <summary>Waits for {waited}, costs {visit.score} points</summary>
      <ul>{visit.because.map((part) => <li key={part.kind}>{part.points}: {part.kind === "waiting" ? "it waits" : inWords(part.kind)}, {part.why}</li>)}</ul>
    </details>
  );
}

// The devices for which a site's line stands; they are asked for when somebody wants to see them.
function Members({ visit, fleet }: { visit: Visit; fleet: Fleet }) {
  const [open, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{visit.devices} devices are silent there</summary>
      {open && <MemberList id={visit.id} fleet={fleet} />}
    </details>
  );
}

function MemberList({ id, fleet }: { id: string; fleet: Fleet }) {
  const loaded = useLoaded<{ alerts: Alert[]; next_before: string | null }>(`/v1/ops/alerts?group_id=${id}&limit=500`);
  const members = [...(loaded.value?.alerts ?? [])].sort((a, b) => (a.number ?? 0) - (b.number ?? 0));
  return (
    <>
      <Fault of={loaded} />
      <ul class="members">
        {members.map((one) => (
          <li key={one.id}><a href={`/ops/devices/${one.device_id}`}>{fleet.ids.get(one.device_id ?? "")?.kind ?? "device"} {one.number}</a> {plain(one.detail)}</li>
        ))}
      </ul>
      {loaded.value?.next_before && <p class="small">And more.</p>}
    </>
  );
}

type DeedsAsked = Pick<Asked, "visit" | "me" | "people" | "onDone" | "onForm"> & { name: string; mine: boolean };

function Deeds({ visit, name, mine, me, people, onDone, onForm }: DeedsAsked) {
  const [form, setForm] = useState<Form | "">("");
  const [seen, setSeen] = useState<Visit>(visit); // as it was when the form was opened: the action carries its version
  const [outcome, setOutcome] = useState("");
  const deeds = useRef<HTMLDivElement>(null);
  function toggle(which: Form): void {
    setSeen(visit);
    setOutcome("");
    setForm(form === which ? "" : which);
    onForm(form !== which);
  }
  // What had the focus goes with the form: whoever uses the keyboard goes on beside it.
  function close(): void {
    if (form !== "") deeds.current?.querySelector<HTMLElement>("[aria-expanded=true]")?.focus();
    setForm("");
    onForm(false);
  }
  async function send(verb: string, body: object, words: string, version: string): Promise<void> {
    setOutcome("");
    try {
      await post(`/v1/ops/visits/${visit.id}/${verb}`, body, verb === "notes" ? {} : { "If-Match": `"${version}"` });
      close();
      setOutcome(words);
      await onDone(verb === "done" ? words : "");
    } catch (error) {
      setOutcome(`${message(error)}${nowIs(error, people)}`);
      if (error instanceof ApiError && error.status === 412) close(); // whoever decided saw something else
      await onDone("");
    }
  }
  const assign = (to: string | null, words: string, version: string): Promise<void> => send("assign", { assignee: to }, words, version);
  const button = (which: Form, word: string) => (
    <button type="button" aria-expanded={form === which} onClick={() => toggle(which)}>{word}<span class="unseen"> {name}</span></button>
  );
  return (
    <>
      <div class="deeds" role="group" ref={deeds} aria-label={`What to do about ${name}`}>
        {mine
          ? <button type="button" onClick={() => void assign(null, "Nobody goes there now.", visit.version)}>I do not go there<span class="unseen"> to {name}</span></button>
          : <button type="button" onClick={() => void assign(me.operator_id, "It is yours.", visit.version)}>I go there<span class="unseen"> to {name}</span></button>}
        {button("assign", "Assign")}
        {button("note", "Note")}
        {button("done", "Done")}
      </div>
      {form === "assign" && <AssignForm now={seen.assignee} people={people} onSend={(to) => assign(to, to === null ? "Nobody goes there now." : `${people.named(to)} goes there.`, seen.version)} />}
      {form === "note" && <NoteForm onSend={(text) => send("notes", { text }, "Noted.", "")} />}
      {form === "done" && <DoneForm visit={seen} onSend={(body) => send("done", body, `${name}: done.`, seen.version)} />}
      <p class="outcome" role="status">{outcome}</p>
    </>
  );
}

// How things stand, of a refusal that says so.
function nowIs(error: unknown, people: Colleagues): string {
  const now = error instanceof ApiError ? (error.problem["visit"] as Visit | undefined) : undefined;
  if (!now) return "";
  const who = now.assignee === null ? "nobody goes there" : `${people.named(now.assignee)} goes there`;
  return ` Now ${who}; wrong there: ${now.alerts.map((one) => inWords(one.kind).toLowerCase()).join(", ")}.`;
}
