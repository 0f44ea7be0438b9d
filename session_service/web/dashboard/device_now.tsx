// What a device is and last said of itself, with its age.
import { useEffect, useState } from "preact/hooks";
import type { Device } from "./api";
import type { Fleet } from "./fleet";
import { moment } from "./parts";
import { age, LOOK, plain, stateOf } from "./states";

export function Now({ device, fleet, readMs }: { device: Device; fleet: Fleet; readMs: number }) {
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
