// Use: where and when things are taken and left, what stands idle, and which should be moved where, and why.
import type { ComponentChildren } from "preact";
import { HeatTable, type Heat } from "./use_heat";
import { Choices, SpanForm, spanOf } from "./money_parts";
import { named, query, type Days } from "./money_span";
import { Fault, money, moment, useLoaded } from "./parts";
import { age } from "./states";
import "./money.css";
import "./use.css";

const PLACES = [["grid", "Squares of 300 m"], ["site", "Sites"]] as const;
const IDLE = [["24", "1 day"], ["72", "3 days"], ["168", "1 week"], ["0", "Any time"]] as const;
const DAYS_MOST = 31;
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

const held = (url: URL, name: string, all: readonly (readonly [string, string])[]): string => {
  const said = url.searchParams.get(name);
  return all.find(([value]) => value === said)?.[0] ?? all[0]?.[0] ?? "";
};

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
          <Part id="turnover" word={`Turnover, ${named(days)}`}><Turnover found={found} /></Part>
          <Part id="heat" word="Starts and ends by hour and place">
            <Choices label="Places" url={url} name="place" held={place} all={PLACES} />
            <HeatTable url={url} heat={found.heat} />
          </Part>
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
    <div class="wide" role="region" aria-label="Turnover by kind" tabIndex={0}>
      <table>
        <thead><tr><th scope="col">Kind</th><th scope="col" class="number">Devices</th><th scope="col" class="number">Sessions</th><th scope="col" class="number">A device and day</th><th scope="col" class="number">Fares</th><th scope="col" class="number">Fares a device</th></tr></thead>
        <tbody>
          {found.turnover.map((row) => (
            <tr key={row.kind}>
              <th scope="row">{row.kind}</th>
              <td class="number">{row.devices.toLocaleString()}</td>
              <td class="number">{row.sessions.toLocaleString()}</td>
              <td class="number">{row.per_device_day.toLocaleString(undefined, { maximumFractionDigits: 2 })}</td>
              <td class="number">{money(row.fares_minor, found.currency)}</td>
              <td class="number">{row.devices === 0 ? "–" : money(row.fares_minor / row.devices, found.currency)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
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
  if (found.idle.length === 0) return <p>None: everything was in use since.</p>;
  return (
    <>
      <div class="wide" role="region" aria-label="Idle devices" tabIndex={0}>
        <table>
          <thead><tr><th scope="col">Device</th><th scope="col">Site</th><th scope="col">In service</th><th scope="col">Idle for</th><th scope="col">Last session ended</th></tr></thead>
          <tbody>
            {found.idle.map((one) => (
              <tr key={one.device_id}>
                <th scope="row"><a href={`/ops/devices/${one.device_id}`}>{one.kind} {one.number}</a></th>
                <td>{one.site || "–"}</td>
                <td>{one.service}</td>
                <td>{one.idle_h === null ? "never used" : age(one.idle_h * HOUR_MS)}</td>
                <td>{moment(one.last_ended_at)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="small">At most the 200 that have stood the longest.</p>
    </>
  );
}
