// Starts or ends in each hour of the day and each place: numbers first, and a shade behind them.
import { useState } from "preact/hooks";
import { Choices } from "./money_parts";
import { change } from "./money_span";
import { UseMap } from "./use_map";

export interface Heat {
  place: string;
  lat: number | null;
  lon: number | null;
  starts: number[]; // of the 168 hours of the week, from midnight on Monday
  ends: number[];
}

const WHAT = [["starts", "Starts"], ["ends", "Ends"], ["more", "Starts less ends"]] as const;
const WEEK = [["", "All days"], ["0", "Mon"], ["1", "Tue"], ["2", "Wed"], ["3", "Thu"], ["4", "Fri"], ["5", "Sat"], ["6", "Sun"]] as const;
const HOURS = 24;
const HOURS_OF: readonly (readonly [string, string])[] = [["", "The whole day"], ...Array.from({ length: HOURS }, (_, hour): [string, string] => [String(hour), `${hour} to ${hour + 1} o'clock`])];
const SHOWN = 20; // places; more are a button away
const SHADES = 5;

interface Row {
  place: Heat;
  hours: number[];
  sum: number;
}

// The numbers of a day's hours: of one day of the week, or of all seven together.
function rowsOf(heat: Heat[], what: string, day: string): Row[] {
  return heat.map((place) => {
    const count = (n: number): number => (what === "more" ? (place.starts[n] ?? 0) - (place.ends[n] ?? 0) : ((what === "ends" ? place.ends : place.starts)[n] ?? 0));
    const days = day === "" ? [0, 1, 2, 3, 4, 5, 6] : [Number(day)];
    const hours = Array.from({ length: HOURS }, (_, hour) => days.reduce((sum, one) => sum + count(one * HOURS + hour), 0));
    return { place, hours, sum: hours.reduce((a, b) => a + b, 0) };
  });
}

// The same numbers as circles where they were, of the whole day or of one hour.
function OnMap({ url, rows, hour, word }: { url: URL; rows: Row[]; hour: string; word: string }) {
  const circles = rows.flatMap(({ place: { place, lat, lon }, hours, sum }) =>
    lat === null || lon === null ? [] : [{ place, lat, lon, count: hour === "" ? sum : (hours[Number(hour)] ?? 0) }]);
  return (
    <>
      <label class="hour">
        On the map
        <select value={hour} onChange={(event) => change(url, { hour: event.currentTarget.value })}>
          {HOURS_OF.map(([value, said]) => <option key={value} value={value}>{said}</option>)}
        </select>
      </label>
      <UseMap circles={circles} word={word} />
    </>
  );
}

// 0 is nothing, 5 the most there is; below zero it is another colour, and the number says so by its sign.
const shade = (count: number, most: number): string =>
  count === 0 ? "" : `${count < 0 ? "less" : "heat"}-${Math.max(1, Math.ceil((Math.abs(count) / most) * SHADES))}`;

export function HeatTable({ url, heat, grid }: { url: URL; heat: Heat[]; grid: boolean }) {
  const [all, setAll] = useState(false);
  const what = WHAT.find(([value]) => value === url.searchParams.get("what"))?.[0] ?? "starts";
  const day = WEEK.find(([value]) => value === url.searchParams.get("day"))?.[0] ?? "";
  const rows = rowsOf(heat, what, day);
  const most = Math.max(1, ...rows.flatMap(({ hours }) => hours.map(Math.abs)));
  const hour = HOURS_OF.find(([value]) => value === url.searchParams.get("hour"))?.[0] ?? "";
  const shown = all ? rows : rows.slice(0, SHOWN);
  return (
    <>
      <Choices label="What is counted" url={url} name="what" held={what} all={WHAT} />
      <Choices label="Day of the week" url={url} name="day" held={day} all={WEEK} />
      {grid && rows.length > 0 && <OnMap url={url} rows={rows} hour={hour} word={WHAT.find(([value]) => value === what)?.[1] ?? ""} />}
      {!grid && <p class="small">A site is where a device belongs, so sites are not on the map. Squares are.</p>}
      {rows.length === 0 ? <p>Nothing was taken or left in these days.</p> : (
        <div class="wide" role="region" aria-label="Starts and ends by hour" tabIndex={0}>
          <table class="heat">
            <thead>
              <tr><th scope="col">Place</th><th scope="col" class="number">All</th>{Array.from({ length: HOURS }, (_, hour) => <th key={hour} scope="col" class="number"><abbr title={`from ${hour} to ${hour + 1} o'clock`}>{hour}</abbr></th>)}</tr>
            </thead>
            <tbody>
              {shown.map(({ place, hours, sum }) => (
                <tr key={place.place}>
                  <th scope="row">{place.place || "no place"}{place.lat !== null && place.lon !== null && <span class="small"> {place.lat.toFixed(4)}, {place.lon.toFixed(4)}</span>}</th>
                  <td class="number"><strong>{sum}</strong></td>
                  {hours.map((count, hour) => <td key={hour} class={`number ${shade(count, most)}`}>{count === 0 ? "·" : count}</td>)}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {rows.length > SHOWN && <button type="button" onClick={() => setAll(!all)}>{all ? `The ${SHOWN} busiest` : `All ${rows.length} places`}</button>}
    </>
  );
}
