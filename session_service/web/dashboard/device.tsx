// One device: its state with its age and its evidence, what can be done, and all that is known of it, a view each.
import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { get, getTagged, type Command, type Device } from "./api";
import { Actions } from "./device_actions";
import { Charts } from "./device_charts";
import { Labels } from "./device_labels";
import { Now } from "./device_now";
import { Reports } from "./device_reports";
import { SetUp } from "./device_setup";
import { ENDED, Timeline } from "./device_timeline";
import type { Fleet, Line } from "./fleet";
import { keepDevice, lastDevice } from "./offline";
import type { Visit } from "./pages";
import { message } from "./parts";
import { DeviceSessions } from "./sessions_parts";
import { age, plain } from "./states";
import "./device.css";

const ASKED_EVERY_MS = 300; // while a command is under way; its steps take tens of milliseconds to seconds
const VIEWS = [["", "Now"], ["charts", "Charts"], ["reports", "Reports"], ["labels", "Labels"]] as const;

export function DevicePage({ fleet, me, url, groups }: Visit) {
  const id = groups[0] ?? "";
  const { device, commands, tag, fault, readMs, load } = useDevice(id, fleet);
  const view = url.searchParams.get("view") ?? "";
  if (!device) return <Unread fault={fault} line={fleet.ids.get(id)} fleet={fleet} />;
  const views: Record<string, () => ComponentChildren> = {
    charts: () => <Charts id={id} url={url} />,
    reports: () => <Reports id={id} url={url} />,
    labels: () => <Labels device={device} me={me} />,
  };
  return (
    <main class="device">
      <p class="back"><a href="/ops">Fleet</a></p>
      <h1>{device.kind} {device.number}</h1>
      {fault !== "" && <p class="fault" role="alert">{fault} What is shown is {age(Date.now() - readMs)} old.</p>}
      <nav class="views" aria-label="About this device">
        {VIEWS.map(([name, word]) => (
          <a key={name} href={`/ops/devices/${id}${name === "" ? "" : `?view=${name}`}`} aria-current={name === view ? "page" : "false"}>{word}</a>
        ))}
        <a href={`/ops/sessions?device_id=${id}`}>Sessions</a>
      </nav>
      {views[view]?.() ?? (
        <div class="columns">
          <div class="side">
            <Now device={device} fleet={fleet} readMs={readMs} />
            <SetUp id={id} />
          </div>
          <div class="side">
            <Actions device={device} commands={commands} tag={tag} me={me} onDone={load} />
            <Timeline commands={commands} me={me} />
            <DeviceSessions id={id} />
          </div>
        </div>
      )}
    </main>
  );
}

// A device that could not be read: what the list of the fleet last knew of it.
function Unread({ fault, line, fleet }: { fault: string; line: Line | undefined; fleet: Fleet }) {
  if (fault === "" || !line) return <main class="device"><p role="status">{fault || "Loading"}</p></main>;
  const heard = line.seen === null ? "never" : `${age(fleet.now() - line.seen)} ago`;
  return (
    <main class="device">
      <p class="back"><a href="/ops">Fleet</a></p>
      <h1>{line.kind} {line.number}</h1>
      <p class="fault" role="alert">{fault} What is shown is of the list, {age(fleet.streamAge().ageMs)} old.</p>
      <section aria-label="What was last known">
        <p class="big">In service: {line.service}, bolt {line.bolt}, heard {heard}</p>
        <p>Site: {line.site || "none"}. Battery: {line.battery === null ? "not known" : `${line.battery} %`}. {line.alerts.length > 0 && `⚠ ${line.alerts.map(plain).join(", ")}`}</p>
      </section>
    </main>
  );
}

function useDevice(id: string, fleet: Fleet) {
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
      void keepDevice({ device: one.value, commands: all.commands, atMs: readMs.current });
    } catch (error) {
      setFault(message(error));
      if (readMs.current > 0) return;
      const kept = await lastDevice(id); // the network is gone, and this is what was last seen of it
      if (!kept || readMs.current > 0) return;
      readMs.current = kept.atMs;
      setDevice(kept.device);
      setCommands(kept.commands);
    }
  }, [id]);
  useLive(id, fleet, load, commands.some((one) => !ENDED.has(one.state) && one.state !== "unknown"));
  return { device, commands, tag, fault, readMs: readMs.current, load };
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
