// What is stuck on a device, the newest first. Who has a label's text can make another, so the text itself is not shown.
import { useState } from "preact/hooks";
import { covers, post, type Device, type Label, type Me } from "./api";
import { newLabel, PaperChoice, printed, type Paper } from "./labels_print";
import { Fault, moment, ReasonForm, useLoaded } from "./parts";

type Doing = "print" | "new" | "revoke" | "mounted" | "reinstate";

interface Chosen {
  doing: Doing;
  label: string; // its id; empty for what concerns the device
}

export function Labels({ device, me }: { device: Device; me: Me }) {
  const read = useLoaded<{ labels: Label[] }>(`/v1/ops/devices/${device.device_id}/labels`);
  const [chosen, choose] = useState<Chosen | null>(null);
  const labels = [...(read.value?.labels ?? [])].reverse();
  const may = covers(me.role, "technician");
  const pick = (doing: Doing, label = "") => () => choose(chosen?.doing === doing && chosen.label === label ? null : { doing, label });
  const pressed = (doing: Doing, label = ""): boolean => chosen?.doing === doing && chosen.label === label;
  const inForce = labels.some((label) => label.revoked_at === null);
  return (
    <section aria-labelledby="labels" class="labels">
      <h2 id="labels">Labels</h2>
      <Fault of={read} />
      {read.value && labels.length === 0 && <p>None yet.</p>}
      {may && (
        <div class="deeds" role="group" aria-label="Labels">
          <button type="button" disabled={!inForce} aria-pressed={pressed("print")} onClick={pick("print")}>Print</button>
          <button type="button" aria-pressed={pressed("new")} onClick={pick("new")}>New label</button>
          <a href={`/ops/labels?q=${device.number}`}>Print many</a>
        </div>
      )}
      {chosen && <Form key={`${chosen.doing}${chosen.label}`} chosen={chosen} device={device} again={read.again} />}
      <ul>
        {labels.map((label) => (
          <li key={label.label_id}>
            <p><strong>Generation {label.generation}</strong>, {label.label_id}: {standing(label)}</p>
            <p class="small">{history(label)}</p>
            {may && label.revoked_at === null && (
              <div class="deeds" role="group" aria-label={`Label ${label.label_id}`}>
                {label.mounted_at === null && <button type="button" aria-pressed={pressed("mounted", label.label_id)} onClick={pick("mounted", label.label_id)}>It is mounted</button>}
                {label.suspended_at !== null && <button type="button" aria-pressed={pressed("reinstate", label.label_id)} onClick={pick("reinstate", label.label_id)}>Reinstate</button>}
                <button type="button" aria-pressed={pressed("revoke", label.label_id)} onClick={pick("revoke", label.label_id)}>Revoke</button>
              </div>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Form({ chosen, device, again }: { chosen: Chosen; device: Device; again: () => Promise<void> }) {
  const [paper, setPaper] = useState<Paper>("a4");
  const [keepOld, keep] = useState(false);
  const told = async (what: Promise<unknown>, words: string): Promise<string> => {
    await what;
    await again();
    return words;
  };
  const change = (verb: string, words: string) => (reason: string) => told(post(`/v1/ops/labels/${chosen.label}/${verb}`, { reason }), words);
  switch (chosen.doing) {
    case "print":
      return (
        <ReasonForm word="Print now" act={(reason) => told(printed([device.device_id], paper, reason), "Printed: the sheet is in your downloads.")}>
          <div onChange={(event) => setPaper((event.target as HTMLSelectElement).value as Paper)}><PaperChoice /></div>
        </ReasonForm>
      );
    case "new":
      return (
        <ReasonForm word="Make a new label now" act={(reason) => told(newLabel(device.device_id, reason, keepOld), keepOld ? "Made. Those before it stay good until it is said to be mounted." : "Made. Those before it open nothing from now on.")}>
          <p>The labels before it open nothing from now on.</p>
          <label class="check"><input type="checkbox" checked={keepOld} onChange={(event) => keep(event.currentTarget.checked)} /> Let them stay good until the new one is mounted</label>
        </ReasonForm>
      );
    case "revoke":
      return <ReasonForm word="Revoke now" act={change("revoke", "Revoked: it opens nothing from now on.")} />;
    case "mounted":
      return <ReasonForm word="It is mounted" act={change("mounted", "Noted. The labels before it open nothing from now on.")} />;
    case "reinstate":
      return <ReasonForm word="Reinstate now" act={change("reinstate", "It is in use again.")} />;
  }
}

function standing(label: Label): string {
  if (label.revoked_at) return `✕ revoked ${moment(label.revoked_at)}${label.revoked_reason ? `, because: ${label.revoked_reason}` : ""}`;
  if (label.suspended_at) return `▲ out of use since ${moment(label.suspended_at)}, because: ${label.suspended_reason}`;
  return "● in force";
}

function history(label: Label): string {
  const printedAt = label.printed_at ? `printed ${moment(label.printed_at)}` : "not printed";
  const mounted = label.mounted_at ? `mounted ${moment(label.mounted_at)}` : "not said to be mounted";
  return `Made ${moment(label.minted_at)}, ${printedAt}, ${mounted}`;
}
