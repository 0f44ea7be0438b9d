// One device: its state with its age and its evidence, what can be done, and how each command went, step by step.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { covers, get, getTagged, post, ApiError, type Command, type Device, type Label, type Me, type Role } from "./api";
import type { Fleet } from "./fleet";
import { moment } from "./parts";
import { age, LOOK, plain, stateOf } from "./states";

const ASKED_EVERY_MS = 300; // while a command is under way; its steps take tens of milliseconds to seconds
const ENDED = new Set(["done", "refused", "expired"]);

interface Deed {
  word: string;
  needs: Role;
  path: (id: string) => string;
  body: (reason: string) => object;
}

const command = (action: string, word: string, needs: Role): Deed => ({
  word, needs, path: (id) => `/v1/ops/devices/${id}/commands`, body: (reason) => ({ action, reason }),
});
const DEEDS: Record<string, Deed> = {
  unlock: command("unlock", "Unlock", "operator"), // it opens a thing in the street: session_service/access.py
  lock: command("lock", "Lock", "technician"),
  identify: command("identify", "Identify", "technician"),
  self_test: command("self_test", "Self-test", "technician"),
  maintenance_on: {
    word: "Into maintenance", needs: "technician",
    path: (id) => `/v1/ops/devices/${id}/maintenance`, body: (reason) => ({ on: true, reason }),
  },
  maintenance_off: {
    word: "Out of maintenance", needs: "technician",
    path: (id) => `/v1/ops/devices/${id}/maintenance`, body: (reason) => ({ on: false, reason }),
  },
  ready: {
    word: "Make ready", needs: "technician",
    path: (id) => `/v1/ops/devices/${id}/ready`, body: (reason) => ({ reason }),
  },
};

function deedsFor(device: Device, role: Role): string[] {
  if (device.service === "revoked") return [];
  const names = ["unlock", "lock", "identify", "self_test"];
  names.push(device.service === "maintenance" ? "maintenance_off" : "maintenance_on");
  if (device.service === "held" || device.service === "cleaning") names.push("ready");
  return names.filter((name) => covers(role, (DEEDS[name] as Deed).needs));
}

export function DevicePage({ id, fleet, me }: { id: string; fleet: Fleet; me: Me }) {
  const [device, setDevice] = useState<Device | null>(null);
  const [commands, setCommands] = useState<Command[]>([]);
  const [tag, setTag] = useState("");
  const [fault, setFault] = useState("");
  const readMs = useRef(0);
  const load = useCallback(async () => {
    try {
      const [one, all] = await Promise.all([
        getTagged<Device>(`/v1/ops/devices/${id}`),
        get<{ commands: Command[] }>(`/v1/ops/devices/${id}/commands`),
      ]);
      readMs.current = Date.now();
      setDevice(one.value);
      setTag(one.tag);
      setCommands(all.commands);
      setFault("");
    } catch (error) {
      setFault(error instanceof Error ? error.message : String(error));
    }
  }, [id]);
  useLive(id, fleet, load, commands.some((one) => !ENDED.has(one.state) && one.state !== "unknown"));
  if (!device) return <main class="device"><p role="status">{fault || "Loading"}</p></main>;
  return (
    <main class="device">
      <p class="back"><a href="/ops">Fleet</a></p>
      <h1>{device.kind} {device.number}</h1>
      {fault !== "" && <p class="fault" role="alert">{fault} What is shown is {age(Date.now() - readMs.current)} old.</p>}
      <div class="columns">
        <Now device={device} fleet={fleet} readMs={readMs.current} />
        <Actions device={device} tag={tag} me={me} onDone={load} />
        <Timeline commands={commands} me={me} />
        <Labels id={id} />
      </div>
    </main>
  );
}

// Read again when the stream says that something about this device has changed, and often while a command is under way.
function useLive(id: string, fleet: Fleet, load: () => Promise<void>, busy: boolean): void {
  useEffect(() => {
    void load();
    let last = fleet.ids.get(id);
    let seen = last?.seen;
    return fleet.subscribe(() => {
      const line = fleet.ids.get(id);
      if (line !== last || line?.seen !== seen) void load();
      last = line;
      seen = line?.seen;
    });
  }, [load]);
  useEffect(() => {
    if (!busy) return undefined;
    const timer = window.setInterval(() => void load(), ASKED_EVERY_MS);
    return () => window.clearInterval(timer);
  }, [busy, load]);
}

function Now({ device, fleet, readMs }: { device: Device; fleet: Fleet; readMs: number }) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = window.setInterval(() => tick((n) => n + 1), 1000);
    return () => window.clearInterval(timer);
  }, []);
  const line = fleet.ids.get(device.device_id);
  const state = line ? stateOf(line, fleet.now(), fleet.staleMs) : null;
  const heard = device.age_s === null ? "never heard of" : `heard ${age(device.age_s * 1000 + Date.now() - readMs)} ago`;
  const facts: [string, string][] = [
    ["Bolt", device.bolt],
    ...(device.kind === "pod" ? [["Door", said(device.door_shut, "shut", "open")], ["Inside", said(device.occupied, "somebody", "nobody")]] as [string, string][] : []),
    ["Battery", device.battery_percent === null ? "not known" : `${device.battery_percent} %`],
    ["Session", device.session_id ?? "none"],
    ["Site", device.site || "none"],
    ["Place", device.lat === null || device.lon === null ? "not known" : `${device.lat.toFixed(5)}, ${device.lon.toFixed(5)}`],
    ["Reports waiting", String(device.outbox_depth)],
    ["Configuration", device.config_revision === device.config_wanted ? `${device.config_revision}` : `${device.config_revision}, wanted ${device.config_wanted}`],
    ["Firmware", device.agent_version || "not known"],
    ["Boot", device.boot_id ?? "none"],
    ["Id", device.device_id],
  ];
  return (
    <section aria-labelledby="now">
      <h2 id="now">Now</h2>
      <p class="big">
        {state && <><span class={`sign ${state}`} aria-hidden="true">{LOOK[state].sign}</span> {LOOK[state].word}, </>}
        bolt {device.bolt}, {heard}
      </p>
      <p>In service: {device.service}{device.service_reason ? `, because: ${plain(device.service_reason)}` : ""}, since {moment(device.service_since)}</p>
      {device.alerts.length > 0 && (
        <ul class="alerts">
          {device.alerts.map((alert) => <li key={alert.kind}>⚠ <strong>{plain(alert.kind)}</strong>: {alert.detail} ({moment(alert.opened_at)})</li>)}
        </ul>
      )}
      <h3>What it last said of itself, {moment(device.seen_at)}</h3>
      <dl>{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
    </section>
  );
}

const said = (fact: boolean | null, yes: string, no: string): string => (fact === null ? "not known" : fact ? yes : no);

function Actions({ device, tag, me, onDone }: { device: Device; tag: string; me: Me; onDone: () => Promise<void> }) {
  const [chosen, choose] = useState("");
  const [seen, setSeen] = useState(""); // the version that was on the page when the action was chosen
  const [outcome, setOutcome] = useState("");
  const [busy, setBusy] = useState(false);
  const names = deedsFor(device, me.role);
  const deed = DEEDS[chosen];
  async function act(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    if (!deed) return;
    const reason = String(new FormData(event.currentTarget as HTMLFormElement).get("reason")).trim();
    setBusy(true);
    setOutcome("");
    try {
      const answer = await post<{ state?: string }>(deed.path(device.device_id), deed.body(reason), { "If-Match": seen });
      if (answer.state === "pending") setOutcome(`${deed.word} waits for a second person: somebody may be inside.`); // an approval
      else setOutcome(answer.state === undefined ? `${deed.word}: done.` : `${deed.word}: asked. The outcome is in the timeline.`);
      choose("");
    } catch (error) {
      setSeen(tag);
      if (error instanceof ApiError && error.status === 412) choose(""); // whoever decided saw something else
      setOutcome(error instanceof ApiError ? `${error.problem.title}. ${error.message}` : "The service cannot be reached. Nothing is known of the outcome; look at the timeline.");
    }
    setBusy(false);
    await onDone();
  }
  if (names.length === 0) return null;
  return (
    <section aria-labelledby="actions">
      <h2 id="actions">Actions</h2>
      <div class="deeds" role="group" aria-label="Actions">
        {names.map((name) => (
          <button key={name} type="button" aria-pressed={chosen === name} onClick={() => (setSeen(tag), choose(chosen === name ? "" : name))}>
            {DEEDS[name]?.word}
          </button>
        ))}
      </div>
      {deed && (
        <form class="reason" onSubmit={(event) => void act(event)}>
          <label>Reason<input name="reason" required minLength={3} maxLength={200} autocomplete="off" /></label>
          <button class="main" disabled={busy}>{deed.word} now</button>
        </form>
      )}
      <p class="outcome" role="status">{outcome}</p>
    </section>
  );
}

// What is stuck on it, the newest first; who has a label's text can make another, so the text itself is not shown.
function Labels({ id }: { id: string }) {
  const [labels, set] = useState<Label[] | null>(null);
  useEffect(() => {
    get<{ labels: Label[] }>(`/v1/ops/devices/${id}/labels`).then((found) => set(found.labels), () => set(null));
  }, [id]);
  if (labels === null) return null;
  return (
    <section aria-labelledby="labels">
      <h2 id="labels">Labels</h2>
      {labels.length === 0 && <p>None.</p>}
      <dl>
        {labels.map((label) => (
          <div key={label.label_id}>
            <dt>Generation {label.generation}</dt>
            <dd>{label.label_id}, {label.revoked_at ? `revoked ${moment(label.revoked_at)}` : label.suspended_at ? `suspended ${moment(label.suspended_at)}` : "in force"}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Timeline({ commands, me }: { commands: Command[]; me: Me }) {
  const who = (actor: string): string => (actor === `operator:${me.operator_id}` ? "you" : actor);
  return (
    <section aria-labelledby="commands" class="timeline">
      <h2 id="commands">Commands</h2>
      {commands.length === 0 && <p>None yet.</p>}
      <ol>
        {commands.map((one) => (
          <li key={one.id}>
            <p><strong>{plain(one.action)}</strong>, <span class={`outcome ${one.state}`}>{one.state}{one.reason ? `: ${plain(one.reason)}` : ""}</span></p>
            <ol class="steps">{stepsOf(one).map(({ word, ms }) => <li key={word}><span>{word}</span> <span>{ms}</span></li>)}</ol>
            <p class="small">{moment(one.created_at)}, asked by {who(one.asked_by)}{one.approved_by ? `, approved by ${who(one.approved_by)}` : ""}{one.why ? `, because: ${one.why}` : ""}</p>
          </li>
        ))}
      </ol>
    </section>
  );
}

// The states that a command went through, each with the milliseconds since the one before.
function stepsOf(one: Command): { word: string; ms: string }[] {
  const times: [string, string | null][] = [
    ["created", one.created_at], ["published", one.published_at], ["accepted", one.accepted_at],
    [one.state === "unknown" ? "unknown" : ENDED.has(one.state) ? one.state : "ended", one.ended_at],
  ];
  let before: number | null = null;
  return times.flatMap(([word, at]) => {
    if (at === null) return [];
    const ms = Date.parse(at);
    const since = before === null ? moment(at) : `+${Math.max(0, ms - before)} ms`;
    before = ms;
    return [{ word, ms: since }];
  });
}
