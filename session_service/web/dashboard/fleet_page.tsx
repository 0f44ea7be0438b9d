// Map and list of the fleet side by side, and the filter that both obey.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { choices, EVERYTHING, fromAddress, stateChoices, toAddress, view, type Filter, type Shown, type Sort } from "./filters";
import type { Fleet } from "./fleet";
import { go } from "./going";
import { FleetMap } from "./map";
import { plain } from "./states";
import { Table } from "./table";
import { Views } from "./views";

const DRAWN_EVERY_MS = 500; // as often as changes come; ages grow meanwhile too

const counted = (number: number): string => number.toLocaleString("en");

export function FleetPage({ fleet, search }: { fleet: Fleet; search: string }) {
  const [filter, setFilter] = useState(() => fromAddress(search));
  const [pane, setPane] = useState<"list" | "map">("list");
  const beat = useBeat(fleet);
  useEffect(() => setFilter(fromAddress(search)), [search]);
  const nowMs = fleet.now();
  const shown = useMemo(() => view(fleet.lines.values(), filter, nowMs, fleet.staleMs), [filter, beat]);
  const offered = useMemo(() => choices(fleet.lines.values()), [Math.floor(beat / 20), fleet.ready]);

  function change(part: Partial<Filter>): void {
    const next = { ...filter, ...part };
    setFilter(next);
    go(`/ops${toAddress(next)}`, { replace: true });
  }
  // Drawn anew when it has changed, not with each change of the fleet: a city has hundreds of sites to choose from.
  const filters = useMemo(() => <Filters filter={filter} offered={offered} onChange={change} />, [filter, offered]);
  const sortBy = (sort: Sort): void => change({ sort, down: filter.sort === sort ? !filter.down : false });
  const open = ({ line }: Shown): void => go(`/ops/devices/${line.id}`);

  return (
    <main class={`fleet shows-${pane}`}>
      <h1 class="unseen">Fleet</h1>
      {filters}
      <div class="bar">
        <p role="status" class="count">{fleet.ready ? `${counted(shown.length)} of ${counted(fleet.lines.size)} devices` : "Loading"}</p>
        <div class="panes" role="group" aria-label="What is shown">
          <button type="button" aria-pressed={pane === "list"} onClick={() => setPane("list")}>List</button>
          <button type="button" aria-pressed={pane === "map"} onClick={() => setPane("map")}>Map</button>
        </div>
      </div>
      <MapBox shown={shown} onOpen={open} pane={pane} />
      <Table shown={shown} filter={filter} nowMs={nowMs} onSort={sortBy} onOpen={open} />
    </main>
  );
}

// A number that grows when there is something new to draw, and with time, but not more often than people see.
export function useBeat(fleet: Fleet): number {
  const [beat, set] = useState(0);
  useEffect(() => {
    let drawn = -1;
    let quiet = 0;
    const look = (): void => {
      quiet += 1;
      if (fleet.version === drawn && quiet < 4) return;
      drawn = fleet.version;
      quiet = 0;
      set((n) => n + 1);
    };
    const timer = window.setInterval(look, DRAWN_EVERY_MS);
    const first = fleet.subscribe(() => drawn < 1 && look()); // the first snapshot is drawn at once
    return () => {
      window.clearInterval(timer);
      first();
    };
  }, [fleet]);
  return beat;
}

function MapBox({ shown, onOpen, pane }: { shown: Shown[]; onOpen: (shown: Shown) => void; pane: string }) {
  const box = useRef<HTMLDivElement>(null);
  const map = useRef<FleetMap | null>(null);
  useEffect(() => {
    if (!box.current) return undefined;
    map.current = new FleetMap(box.current, onOpen);
    return () => map.current?.remove();
  }, []);
  useEffect(() => map.current?.show(shown), [shown, pane]);
  return (
    <section class="map" aria-label="Map">
      <div class="canvas" ref={box} />
      <button type="button" class="fit" onClick={() => map.current?.fit()}>Show all</button>
    </section>
  );
}

interface Offered {
  sites: string[];
  alerts: string[];
  firmwares: string[];
}

export function Filters({ filter, offered, onChange }: { filter: Filter; offered: Offered; onChange: (part: Partial<Filter>) => void }) {
  const pick = (name: keyof Filter, word: string, every: string, options: { value: string; word: string }[]) => (
    <label>
      {word}
      <select value={String(filter[name])} onChange={(event) => onChange({ [name]: event.currentTarget.value })}>
        <option value="">{every}</option>
        {options.map((option) => <option key={option.value} value={option.value}>{option.word}</option>)}
      </select>
    </label>
  );
  const same = (values: string[]) => values.map((value) => ({ value, word: plain(value) }));
  const active = Object.entries(filter).filter(([name, value]) => !["sort", "down"].includes(name) && value !== "").length;
  return (
    <search class="filters">
      <label class="text">
        Number, site or id
        <input type="search" value={filter.text} onInput={(event) => onChange({ text: event.currentTarget.value })} />
      </label>
      <details open={matchMedia("(min-width: 900px)").matches}>
        <summary>Filters{active > 0 ? ` (${active})` : ""}</summary>
        <div class="picks">
          {pick("kind", "Kind", "Any", same(["bike", "pod"]))}
          {pick("state", "State", "Any", stateChoices)}
          {pick("site", "Site", "All", offered.sites.map((value) => ({ value, word: value })))}
          {pick("battery", "Battery", "Any", ["10", "20", "30", "50"].map((value) => ({ value, word: `${value} % or less` })))}
          {pick("age", "Last heard", "Any time", [
            { value: "2", word: "over 2 min ago" }, { value: "10", word: "over 10 min ago" },
            { value: "60", word: "over an hour ago" }, { value: "1440", word: "over a day ago" },
          ])}
          {pick("alert", "Alert", "Any or none", [{ value: "any", word: "Any alert" }, ...same(offered.alerts)])}
          {pick("firmware", "Firmware", "Any", offered.firmwares.map((value) => ({ value, word: value })))}
          <button type="button" disabled={active === 0} onClick={() => onChange({ ...EVERYTHING, sort: filter.sort, down: filter.down })}>
            Clear
          </button>
        </div>
      </details>
      <Views query={toAddress(filter)} />
    </search>
  );
}
