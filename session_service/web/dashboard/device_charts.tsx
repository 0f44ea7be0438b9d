// A device over time: battery, signal, temperature, what waits to be sent, and how often it connected, hours to years.
import { useEffect, useMemo, useState } from "preact/hooks";
import { Chart } from "./chart";
import type { Series } from "./chart_options";
import { go } from "./going";
import { Fault, moment, useLoaded } from "./parts";
import { age } from "./states";

const HOUR_S = 3_600;
const DAY_S = 24 * HOUR_S;
const SPANS: Record<string, [string, number]> = {
  "6h": ["6 hours", 6 * HOUR_S], day: ["Day", DAY_S], week: ["Week", 7 * DAY_S], month: ["Month", 30 * DAY_S],
  quarter: ["3 months", 91 * DAY_S], year: ["Year", 365 * DAY_S],
};
const POINTS = 400; // as many as a phone has columns; six hours in these are single heartbeats
const AGAIN_MS = 30_000; // as often as a device says something
const GAP_POINTS = 2.5; // more than two points without a word are a gap in the line

interface Gauge {
  min: (number | null)[];
  max: (number | null)[];
  mean: (number | null)[];
}

export interface Telemetry {
  resolution: string;
  point_s: number;
  raw_kept_days: number;
  minutes_kept_days: number;
  last_heartbeat: string | null;
  age_ms: number | null;
  at_s: number[];
  heartbeats: number[];
  battery_percent: Gauge;
  signal_dbm: Gauge;
  temperature_c: Gauge;
  outbox_depth: Gauge;
  reconnects: number[];
  boots: number[];
}

const GAUGES: [keyof Telemetry, string, string, (readonly [number, number])?][] = [
  ["battery_percent", "Battery", "%", [0, 100]], ["signal_dbm", "Signal", "dBm"], ["temperature_c", "Temperature", "°C"],
  ["outbox_depth", "Reports waiting", ""],
];
const MADE_OF: Record<string, string> = { raw: "single heartbeats", minute: "minutes", hour: "hours" };

export function Charts({ id, url }: { id: string; url: URL }) {
  const span = url.searchParams.get("span") ?? "day";
  const [, lengthS] = SPANS[span] ?? ["", DAY_S];
  const [endS, setEnd] = useState(() => Math.ceil(Date.now() / 1000));
  useEffect(() => {
    setEnd(Math.ceil(Date.now() / 1000));
    const timer = window.setInterval(() => setEnd(Math.ceil(Date.now() / 1000)), AGAIN_MS);
    return () => window.clearInterval(timer);
  }, [span]);
  const read = useLoaded<Telemetry>(`/v1/ops/devices/${id}/telemetry?from=${endS - lengthS}&to=${endS}&points=${POINTS}`);
  const found = read.value;
  const places = useMemo(() => (found ? placesOf(found) : []), [found]);
  const times = useMemo(() => places.map(({ atMs }) => atMs), [places]);
  return (
    <section aria-labelledby="charts" class="charts">
      <h2 id="charts">Charts</h2>
      <div class="spans" role="group" aria-label="Time shown">
        {Object.entries(SPANS).map(([name, [word]]) => (
          <button key={name} type="button" aria-pressed={name === span} onClick={() => go(`${url.pathname}?view=charts&span=${name}`, { replace: true })}>{word}</button>
        ))}
      </div>
      <Fault of={read} />
      {found && <p class="small">{madeOf(found)}</p>}
      {found && found.at_s.length === 0 && <p>Nothing was heard of it in this time.</p>}
      {found && found.at_s.length > 0 && (
        <div class="columns">
          {GAUGES.map(([name, title, unit, ends]) => {
            const gauge = found[name] as Gauge;
            if (gauge.mean.every((value) => value === null)) return <p key={name}>{title}: it says nothing of that.</p>;
            return <Chart key={name} title={title} unit={unit} times={times} series={seriesOf(gauge, places)} {...(ends ? { ends } : {})} />;
          })}
          <Chart title="Connected anew, and started anew" unit="" kind="bars" times={found.at_s.map((at) => at * 1000)} series={[{ name: "Connections", values: found.reconnects }, { name: "Starts", values: found.boots }]} />
        </div>
      )}
    </section>
  );
}

function madeOf({ resolution, point_s, age_ms, last_heartbeat, raw_kept_days, minutes_kept_days }: Telemetry): string {
  const heard = age_ms === null ? "Never heard of." : `Last heard ${age(age_ms)} ago (${moment(last_heartbeat)}).`;
  const kept = `Heartbeats are kept for ${raw_kept_days} days, minutes for ${minutes_kept_days} days, hours for good.`;
  return `Each point is ${age(point_s * 1000)} long and made of ${MADE_OF[resolution] ?? resolution}. ${heard} ${kept}`;
}

interface Place {
  atMs: number;
  index: number | null; // of the point; null where the line has a gap
}

// The points in time, with an empty one wherever the device was silent.
function placesOf({ at_s, point_s }: Telemetry): Place[] {
  const found: Place[] = [];
  at_s.forEach((at, index) => {
    const before = at_s[index - 1];
    if (before !== undefined && at - before > GAP_POINTS * point_s) found.push({ atMs: (before + point_s) * 1000, index: null });
    found.push({ atMs: at * 1000, index });
  });
  return found;
}

function seriesOf({ mean, min, max }: Gauge, places: Place[]): Series[] {
  const named: [string, (number | null)[]][] = [["Mean", mean], ["Least", min], ["Most", max]];
  return named.map(([name, values]) => ({ name, values: places.map(({ index }) => (index === null ? null : (values[index] ?? null))) }));
}
