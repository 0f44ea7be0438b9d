// The list beside the map. Only the rows in sight are in the document, so 10,000 cost as much as 40.
import { useEffect, useRef, useState } from "preact/hooks";
import type { Filter, Shown, Sort } from "./filters";
import { age, LOOK, plain } from "./states";

const ROW_PX = 40;
const SPARE = 8; // rows drawn above and below what is in sight

const COLUMNS: { name: string; sort: Sort; word: string }[] = [
  { name: "number", sort: "number", word: "Number" },
  { name: "state", sort: "state", word: "State" },
  { name: "site", sort: "site", word: "Site" },
  { name: "battery", sort: "battery", word: "Battery" },
  { name: "seen", sort: "seen", word: "Heard" },
  { name: "alerts", sort: "alerts", word: "Alerts" },
];

interface Asked {
  shown: Shown[];
  filter: Filter;
  nowMs: number;
  onSort: (sort: Sort) => void;
  onOpen: (shown: Shown) => void;
}

export function Table({ shown, filter, nowMs, onSort, onOpen }: Asked) {
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  const [active, setActive] = useState(0);
  useEffect(() => {
    if (!box.current) return undefined;
    const watcher = new ResizeObserver(([entry]) => entry && setHeight(entry.contentRect.height));
    watcher.observe(box.current);
    return () => watcher.disconnect();
  }, []);
  const at = Math.min(active, Math.max(0, shown.length - 1));
  const first = Math.max(0, Math.floor(top / ROW_PX) - SPARE);
  const rows = shown.slice(first, Math.ceil((top + height) / ROW_PX) + SPARE);

  function move(to: number): void {
    const next = Math.max(0, Math.min(shown.length - 1, to));
    setActive(next);
    const list = box.current;
    if (!list) return;
    const head = ROW_PX; // the heading covers the first row's height
    if (next * ROW_PX < list.scrollTop) list.scrollTop = next * ROW_PX;
    else if ((next + 1) * ROW_PX + head > list.scrollTop + list.clientHeight)
      list.scrollTop = (next + 1) * ROW_PX + head - list.clientHeight;
  }

  function pressed(event: KeyboardEvent): void {
    if (event.target !== event.currentTarget) return;
    const page = Math.max(1, Math.floor(height / ROW_PX) - 2);
    const to: Record<string, number> = {
      ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: shown.length - 1,
    };
    const goal = to[event.key];
    const row = shown[at];
    if (goal !== undefined) move(goal);
    else if (event.key === "Enter" && row) onOpen(row);
    else return;
    event.preventDefault();
  }

  return (
    <div class="list" ref={box} role="grid" aria-label="Devices" tabIndex={0} aria-rowcount={shown.length + 1}
      aria-activedescendant={shown[at] ? `row-${shown[at].line.number}` : undefined}
      onKeyDown={pressed} onScroll={(event) => setTop(event.currentTarget.scrollTop)}>
      <div class="row head" role="row" aria-rowindex={1}>
        {COLUMNS.map(({ name, sort, word }) => (
          <div key={name} class={name} role="columnheader"
            aria-sort={filter.sort === sort ? (filter.down ? "descending" : "ascending") : "none"}>
            <button type="button" onClick={() => onSort(sort)}>
              {word}{filter.sort === sort ? (filter.down ? " ▾" : " ▴") : ""}
            </button>
          </div>
        ))}
      </div>
      <div role="rowgroup" class="rows" style={{ height: `${shown.length * ROW_PX}px` }}>
        {rows.map((row, n) => (
          <Row key={row.line.number} row={row} index={first + n} active={first + n === at} nowMs={nowMs} />
        ))}
      </div>
    </div>
  );
}

function Row({ row: { line, state }, index, active, nowMs }: { row: Shown; index: number; active: boolean; nowMs: number }) {
  const look = LOOK[state];
  const battery = line.battery;
  return (
    <div class={active ? "row active" : "row"} id={`row-${line.number}`} role="row" aria-rowindex={index + 2}
      aria-selected={active} style={{ transform: `translateY(${index * ROW_PX}px)` }}>
      <div class="number" role="gridcell"><a href={`/ops/devices/${line.id}`} tabIndex={-1}>{line.kind} {line.number}</a></div>
      <div class="state" role="gridcell"><span class={`sign ${state}`} aria-hidden="true">{look.sign}</span> {look.word}</div>
      <div class="site" role="gridcell">{line.site || "–"}</div>
      <div class="battery" role="gridcell">
        {battery === null ? "–" : <span class={battery <= 20 ? "low" : ""}>{battery} %{battery <= 20 ? " ▾" : ""}</span>}
      </div>
      <div class="seen" role="gridcell">{line.seen === null ? "never" : age(nowMs - line.seen)}</div>
      <div class="alerts" role="gridcell">
        {line.alerts.length === 0 ? null : (
          <>
            <span class="full">⚠ {line.alerts.map(plain).join(", ")}</span>
            <span class="brief">⚠ {line.alerts.length}</span>
          </>
        )}
      </div>
    </div>
  );
}
