// Use: where and when things are taken and left, what stands idle, and which should be moved where, and why.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { Cards } from "./cards";
import { DevicesUse } from "./use_devices";
import { HeatTable, type Heat } from "./use_heat";
import { Choices, held, SpanForm, spanOf } from "./money_parts";
import { named, query, type Days } from "./money_span";
import { Fault, money, moment, useLoaded } from "./parts";
import { age } from "./states";
import "./money.css";
import "./use.css";

const PLACES = [["grid", "Squares of 300 m"], ["site", "Sites"]] as const;
const IDLE = [["24", "1 day"], ["72", "3 days"], ["168", "1 week"], ["0", "Any time"]] as const;
const DAYS_MOST = 31;
const SHOWN = 20; // devices; more are a button away
const IDLE_MAX = 200; // as session_service/reports/use.py has it
const HOUR_MS = 3_600_000;

interface End {
  place: string;
  lat: number;
  lon: number;
  standing: number;
  needs: number;
  starts: number;
  ends: number;
}

interface UseOf {
  currency: string;
  heat: Heat[];
  idle: { device_id: string; number: number; kind: string; site: string; service: string; last_ended_at: string | null; idle_h: number | null }[];
  turnover: { kind: string; devices: number; sessions: number; fares_minor: number; per_device_day: number }[];
  moves: { devices: number; away_m: number; source: End; target: End; why: string }[];
}

export function UsePage({ url }: { url: URL }) {
  const days = spanOf(url);
  return (
    <main class="page use">
      <h1>Use</h1>
      <SpanForm url={url} days={days} most={DAYS_MOST} />
      <OfDays key={query(days)} url={url} days={days} />
    </main>
  );
}

// What is shown stays while another sort of place is asked for, so that the choice keeps the focus.
function OfDays({ url, days }: { url: URL; days: Days }) {
  const place = held(url, "place", PLACES);
  const idle = held(url, "idle", IDLE);
  const path = `/v1/ops/reports/use?${query(days)}&place=${place}&idle_h=${idle}`;
  const loaded = useLoaded<UseOf>(path);
  const found = loaded.value;
  return (
    <>
      <Fault of={loaded} />
      <p role="status" class="unseen">{loaded.from === path ? "" : "Loading"}</p>
      {found !== null && (
        <>
          <Part id="heat" word="Starts and ends by hour and place">
            <Choices label="Places" url={url} name="place" held={place} all={PLACES} />
            <HeatTable url={url} heat={found.heat} grid={loaded.from.includes("place=grid")} />
          </Part>
          <Part id="turnover" word={`Turnover, ${named(days)}`}><Turnover found={found} /></Part>
          <Part id="devices" word={`Each device, ${named(days)}`}><DevicesUse url={url} days={days} /></Part>
          <Part id="moves" word="Moves that would help"><Moves moves={found.moves} grid={loaded.from.includes("place=grid")} /></Part>
          <Part id="idle" word="What nobody takes">
            <Choices label="Nobody has had it for" url={url} name="idle" held={idle} all={IDLE} />
            <Idle found={found} />
          </Part>
        </>
      )}
    </>
  );
}

function Part({ id, word, children }: { id: string; word: string; children: ComponentChildren }) {
  return <section aria-labelledby={id}><h2 id={id}>{word}</h2>{children}</section>;
}

function Turnover({ found }: { found: UseOf }) {
  return (
    <Cards label="Turnover by kind" rows={found.turnover} keyOf={(row) => row.kind} columns={[
      { word: "Kind", names: true, of: (row) => row.kind },
      { word: "Devices", look: "number", of: (row) => row.devices.toLocaleString() },
      { word: "Sessions", look: "number", of: (row) => row.sessions.toLocaleString() },
      { word: "A device and day", look: "number", of: (row) => row.per_device_day.toLocaleString(undefined, { maximumFractionDigits: 2 }) },
      { word: "Fares", look: "number", of: (row) => money(row.fares_minor, found.currency) },
      { word: "Fares a device", look: "number", of: (row) => (row.devices === 0 ? "–" : money(row.fares_minor / row.devices, found.currency)) },
    ]} />
  );
}

const metres = (away: number): string => (away < 1_000 ? `${away} m` : `${(away / 1_000).toLocaleString(undefined, { maximumFractionDigits: 1 })} km`);
const where = ({ lat, lon }: End): string => `${lat.toFixed(4)}, ${lon.toFixed(4)}`;

function Moves({ moves, grid }: { moves: UseOf["moves"]; grid: boolean }) {
  if (!grid) return <p>A site is where a device belongs, not where it stands. Choose squares to see moves.</p>;
  if (moves.length === 0) return <p>● No place is short of anything that another could spare.</p>;
  return (
    <ol class="moves">
      {moves.map(({ devices, away_m: away, source, target, why }) => (
        <li key={`${source.place} ${target.place}`}>
          <p><strong>Take {devices} from {source.place} to {target.place}</strong>, {metres(away)} away.</p>
          <p>▼ Short by {target.needs - target.standing} at {where(target)}; ▲ {source.standing - source.needs} to spare at {where(source)}.</p>
          <p class="small">{why}</p>
        </li>
      ))}
    </ol>
  );
}

function Idle({ found }: { found: UseOf }) {
  const [all, setAll] = useState(false);
  if (found.idle.length === 0) return <p>None: everything was in use since.</p>;
  return (
    <>
      <Cards label="Idle devices" rows={all ? found.idle : found.idle.slice(0, SHOWN)} keyOf={(one) => one.device_id} columns={[
        { word: "Device", names: true, of: (one) => <a href={`/ops/devices/${one.device_id}`}>{one.kind} {one.number}</a> },
        { word: "Site", of: (one) => one.site || "–" },
        { word: "In service", of: (one) => one.service },
        { word: "Idle for", of: (one) => (one.idle_h === null ? "never used" : age(one.idle_h * HOUR_MS)) },
        { word: "Last session ended", of: (one) => moment(one.last_ended_at) },
      ]} />
      {found.idle.length > SHOWN && <button type="button" onClick={() => setAll(!all)}>{all ? `The ${SHOWN} idlest` : `All ${found.idle.length}`}</button>}
      {found.idle.length === IDLE_MAX && <p class="small">At most the {IDLE_MAX} that have stood the longest.</p>}
    </>
  );
}
