// What can be done to a device from here: each with a reason and the version that was seen, and its outcome as it comes.
import { useState } from "preact/hooks";
import { covers, post, ApiError, type Command, type Device, type Me, type Role } from "./api";
import { ENDED } from "./device_timeline";
import { plain } from "./states";

interface Deed {
  word: string;
  needs: Role;
  path: (id: string) => string;
  body: (reason: string) => object;
  main?: boolean; // within reach of a thumb on a phone
}

const command = (action: string, word: string, needs: Role, main = false): Deed => ({
  word, needs, main, path: (id) => `/v1/ops/devices/${id}/commands`, body: (reason) => ({ action, reason }),
});
const DEEDS: Record<string, Deed> = {
  unlock: command("unlock", "Unlock", "operator", true), // it opens a thing in the street: session_service/access.py
  lock: command("lock", "Lock", "technician", true),
  identify: command("identify", "Identify", "technician", true),
  self_test: command("self_test", "Self-test", "technician"),
  restart: command("restart", "Restart agent", "technician"),
  maintenance_on: {
    word: "Into maintenance", needs: "technician",
    path: (id) => `/v1/ops/devices/${id}/maintenance`, body: (reason) => ({ on: true, reason }),
  },
  maintenance_off: {
    word: "Out of maintenance", needs: "technician",
    path: (id) => `/v1/ops/devices/${id}/maintenance`, body: (reason) => ({ on: false, reason }),
  },
  ready: {
    word: "Make ready", needs: "technician", main: true,
    path: (id) => `/v1/ops/devices/${id}/ready`, body: (reason) => ({ reason }),
  },
};

function deedsFor(device: Device, role: Role): string[] {
  if (device.service === "revoked") return [];
  const names = ["unlock", "lock", "identify", "self_test", "restart"];
  names.push(device.service === "maintenance" ? "maintenance_off" : "maintenance_on");
  if (device.service === "held" || device.service === "cleaning") names.push("ready");
  return names.filter((name) => covers(role, (DEEDS[name] as Deed).needs));
}

interface Given {
  device: Device;
  commands: Command[];
  tag: string;
  me: Me;
  onDone: () => Promise<void>;
}

export function Actions({ device, commands, tag, me, onDone }: Given) {
  const [chosen, choose] = useState("");
  const [seen, setSeen] = useState(""); // the version that was on the page when the action was chosen
  const [said, say] = useState("");
  const [asked, setAsked] = useState(""); // the command whose outcome is waited for
  const [busy, setBusy] = useState(false);
  const [all, showAll] = useState(false);
  const names = deedsFor(device, me.role);
  const deed = DEEDS[chosen];
  async function act(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    if (!deed) return;
    const reason = String(new FormData(event.currentTarget as HTMLFormElement).get("reason")).trim();
    setBusy(true);
    setAsked("");
    say("");
    try {
      const answer = await post<{ id?: string; state?: string }>(deed.path(device.device_id), deed.body(reason), { "If-Match": seen });
      if (answer.state === "pending") say(`${deed.word} waits for a second person: somebody may be inside.`); // an approval
      else if (answer.state === undefined) say(`${deed.word}: done.`);
      else setAsked(answer.id ?? "");
      choose("");
    } catch (error) {
      setSeen(tag);
      if (error instanceof ApiError && error.status === 412) choose(""); // whoever decided saw something else
      say(error instanceof ApiError ? `${error.problem.title}. ${error.message}` : "The service cannot be reached. Nothing is known of the outcome; look at the timeline.");
    }
    setBusy(false);
    await onDone();
  }
  if (names.length === 0) return null;
  const rest = names.filter((name) => !DEEDS[name]?.main);
  return (
    <section aria-labelledby="actions" class={all || rest.includes(chosen) ? "actions all" : "actions"}>
      <h2 id="actions">Actions</h2>
      <div class="deeds" role="group" aria-label="Actions">
        {names.map((name) => (
          <button
            key={name} type="button" aria-pressed={chosen === name} class={DEEDS[name]?.main ? "first" : "rest"}
            onClick={() => (setSeen(tag), choose(chosen === name ? "" : name))}
          >
            {DEEDS[name]?.word}
          </button>
        ))}
        {rest.length > 0 && <button type="button" class="more" aria-expanded={all} onClick={() => showAll(!all)}>{all ? "Fewer" : "More"}</button>}
      </div>
      {deed && (
        <form class="reason" onSubmit={(event) => void act(event)}>
          <label>Reason<input name="reason" required minLength={3} maxLength={200} autocomplete="off" /></label>
          <button class="main" disabled={busy}>{deed.word} now</button>
        </form>
      )}
      <p class="outcome" role="status">{asked === "" ? said : progress(commands.find((one) => one.id === asked))}</p>
    </section>
  );
}

// How far a command has come, in words; the steps with their milliseconds are in the timeline.
function progress(one: Command | undefined): string {
  if (!one) return "Asked.";
  const word = plain(one.action);
  const name = word.charAt(0).toUpperCase() + word.slice(1);
  if (!ENDED.has(one.state)) return one.state === "unknown" ? `${name}: no answer. What it came to is not known.` : `${name}: ${one.state}.`;
  const took = one.ended_at && one.created_at ? ` after ${Math.max(0, Date.parse(one.ended_at) - Date.parse(one.created_at))} ms` : "";
  return `${name}: ${one.state}${took}${one.reason ? `, because: ${plain(one.reason)}` : ""}.`;
}
