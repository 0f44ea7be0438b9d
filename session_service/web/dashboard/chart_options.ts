// How a chart is drawn: its axes, lines and bars. Colours are the style sheet's, read anew whenever it is painted.
import uPlot from "uplot";
import { moment } from "./parts";

const HEIGHT_PX = 220;
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
const LETTER_PX = 7; // of the axes' font; what stands beside an axis must fit
const BAR_SHARE = 0.7; // of the room that each bar has
const BAR_MAX_PX = 60;
const POINTS_TO = 60; // more would be a smear

// Lines differ in their strokes, too: colour alone says nothing to one man in twelve.
const COLOURS = ["main", "held", "in_use", "cleaning", "maintenance", "silent"] as const;
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [14, 5], [5, 5]] as const;
const BORDERS = ["solid", "dashed", "dotted", "double", "groove", "ridge"] as const;

export interface Series {
  name: string;
  values: readonly (number | null)[];
}

export interface ChartOf {
  title: string;
  unit: string;
  series: readonly Series[];
  times: readonly number[] | readonly string[];
  kind?: "line" | "bars";
  say?: (value: number) => string;
  ends?: readonly [number, number]; // of the axis, where values have bounds of their own
  table?: boolean;
}

export const inWords = (of: ChartOf, value: number | null | undefined): string => {
  if (value === null || value === undefined) return "–";
  return of.say ? of.say(value) : `${value.toLocaleString()} ${of.unit}`.trim();
};

export const heading = (time: number | string): string => (typeof time === "string" ? time : moment(new Date(time).toISOString()));

interface Latest {
  readonly current: ChartOf;
}

export function plotted(latest: Latest, box: HTMLElement): uPlot.Options {
  const { kind = "line", series, times, ends } = latest.current;
  const named = typeof times[0] === "string";
  const colour = (name: string) => (): string => getComputedStyle(box).getPropertyValue(`--${name}`);
  const paint = { stroke: colour("soft"), grid: { stroke: colour("grid"), width: 1 }, ticks: { stroke: colour("line"), width: 1 } };
  const lines = series.map(({ name }, n): uPlot.Series => ({
    label: name,
    stroke: colour(COLOURS[n % COLOURS.length] ?? "main"),
    width: 2,
    value: (_, value) => inWords(latest.current, value),
    points: { show: kind === "line" && times.length <= POINTS_TO, size: 5 },
    ...(kind === "bars" ? bars(colour, n, series.length) : { dash: [...(DASHES[n % DASHES.length] ?? [])] }),
  }));
  return {
    width: box.clientWidth || 300,
    height: HEIGHT_PX,
    padding: [12, 30, 0, 14], // the first and the last text below stand half beyond the plot
    ms: 1,
    scales: {
      x: { time: !named, ...(named ? { range: (_u, low, high): [number, number] => [low - 0.5, high + 0.5] } : {}) },
      y: ends ? { range: [ends[0], ends[1]] } : kind === "bars" ? { range: (_u, low, high) => uPlot.rangeNum(Math.min(0, low), Math.max(1, high), 0.1, true) } : {},
    },
    axes: [
      { ...paint, values: (_u, splits, _axis, _space, step) => splits.map((at, n) => named ? nameAt(latest, at) : clock(at, splits[n - 1], step ?? 0)), space: () => (named ? longest(latest.current) : 70), ...(named ? { incrs: [1, 2, 5, 7, 10, 14, 30, 60, 100, 200] } : {}) },
      { ...paint, values: (_u, splits) => splits.map((value) => short(latest.current, value)), size: (_u, said) => 16 + LETTER_PX * Math.max(1, ...(said ?? []).map((text) => text.length)) },
    ],
    series: [{ label: named ? "Of" : "When", value: (_u, at) => (at === null ? "–" : named ? nameAt(latest, at) : heading(at)) }, ...lines],
    legend: { live: true, markers: { width: 2, dash: (_u, n) => (kind === "bars" ? "solid" : BORDERS[(n - 1) % BORDERS.length] ?? "solid") } },
    cursor: { drag: { x: false, y: false } },
  };
}

// Bars of several series stand side by side.
function bars(colour: (name: string) => () => string, n: number, count: number): Partial<uPlot.Series> {
  const builder = uPlot.paths.bars?.({ size: [BAR_SHARE / count, BAR_MAX_PX], align: count === 1 ? 0 : n < count / 2 ? -1 : 1 });
  return { fill: colour(COLOURS[n % COLOURS.length] ?? "main"), width: 0, ...(builder ? { paths: builder } : {}) };
}

const nameAt = ({ current }: Latest, at: number): string => {
  const name = Number.isInteger(at) ? current.times[at] : undefined;
  return typeof name === "string" ? name : "";
};

const longest = ({ times }: ChartOf): number => 14 + LETTER_PX * Math.max(3, ...Array.from<number | string, number>(times, (name) => String(name).length));

const short = (of: ChartOf, value: number): string => (of.say ? of.say(value) : value.toLocaleString(undefined, { notation: "compact" }));

// The hour, and the day where a new one begins; only days where there is one or less a tick.
function clock(at: number, before: number | undefined, step: number): string {
  const then = new Date(at);
  const day = then.toLocaleDateString(undefined, { day: "numeric", month: "short" });
  if (step >= DAY_MS) return day;
  const hour = then.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", ...(step < MINUTE_MS ? { second: "2-digit" } : {}) });
  const same = before !== undefined && new Date(before).toDateString() === then.toDateString();
  return same ? hour : `${day} ${hour}`;
}
