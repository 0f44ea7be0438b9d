// Which devices are shown, and in what order; the address holds it, so a view can be kept and sent.
import type { Line } from "./fleet";
import { LOOK, plain, STATES, stateOf, type State } from "./states";

export const SORTS = ["number", "state", "site", "battery", "seen", "alerts"] as const;
export type Sort = (typeof SORTS)[number];

export interface Filter {
  text: string; // words, each of number, kind, site or alert; or an id
  kind: string;
  state: string;
  site: string;
  battery: string; // at most so many percent
  age: string; // last heard at least so many minutes ago
  alert: string; // a kind, or "any"
  firmware: string;
  sort: Sort;
  down: boolean;
}

export const EVERYTHING: Filter = {
  text: "", kind: "", state: "", site: "", battery: "", age: "", alert: "", firmware: "", sort: "number", down: false,
};

export function fromAddress(search: string): Filter {
  const said = new URLSearchParams(search);
  const read = (name: string): string => said.get(name) ?? "";
  const sort = SORTS.find((one) => one === read("sort")) ?? "number";
  return {
    text: read("q"), kind: read("kind"), state: read("state"), site: read("site"), battery: read("battery"),
    age: read("age"), alert: read("alert"), firmware: read("firmware"), sort, down: read("down") === "1",
  };
}

export function toAddress(filter: Filter): string {
  const said = new URLSearchParams();
  const facts: [string, string][] = [
    ["q", filter.text], ["kind", filter.kind], ["state", filter.state], ["site", filter.site],
    ["battery", filter.battery], ["age", filter.age], ["alert", filter.alert], ["firmware", filter.firmware],
    ["sort", filter.sort === "number" ? "" : filter.sort], ["down", filter.down ? "1" : ""],
  ];
  for (const [name, value] of facts) if (value !== "") said.set(name, value);
  const text = said.toString();
  return text === "" ? "" : `?${text}`;
}

export interface Shown {
  line: Line;
  state: State;
}

export function view(lines: Iterable<Line>, filter: Filter, nowMs: number, staleMs: number): Shown[] {
  const battery = filter.battery === "" ? null : Number(filter.battery);
  const olderMs = filter.age === "" ? null : Number(filter.age) * 60_000;
  const words = filter.text.toLowerCase().split(/\s+/).filter((word) => word !== "");
  const found: Shown[] = [];
  for (const line of lines) {
    if (filter.kind !== "" && line.kind !== filter.kind) continue;
    if (filter.site !== "" && line.site !== filter.site) continue;
    if (filter.firmware !== "" && line.firmware !== filter.firmware) continue;
    if (battery !== null && (line.battery === null || line.battery > battery)) continue;
    if (olderMs !== null && line.seen !== null && nowMs - line.seen < olderMs) continue;
    if (filter.alert === "any" ? line.alerts.length === 0 : filter.alert !== "" && !line.alerts.includes(filter.alert)) continue;
    if (words.length > 0 && !words.every((word) => says(line, word))) continue;
    const state = stateOf(line, nowMs, staleMs);
    if (filter.state !== "" && state !== filter.state) continue;
    found.push({ line, state });
  }
  return sorted(found, filter);
}

// Whether a word is about a device. Digits are the beginning of its number, or a word of its site ("Mill Gate 12").
function says(line: Line, word: string): boolean {
  const site = line.site.toLowerCase();
  if (String(line.number).startsWith(word) || line.id.toLowerCase() === word) return true;
  if (/^\d+$/.test(word)) return site.split(" ").includes(word);
  return site.includes(word) || line.kind.startsWith(word) || line.alerts.some((alert) => plain(alert).includes(word));
}

function sorted(found: Shown[], filter: Filter): Shown[] {
  const sign = filter.down ? -1 : 1;
  const by = ORDERS[filter.sort];
  return found.sort((a, b) => sign * (by(a, b) || a.line.number - b.line.number));
}

const UNKNOWN = 101; // percent: whose battery nobody knows comes after those that are full

const ORDERS: Record<Sort, (a: Shown, b: Shown) => number> = {
  number: (a, b) => a.line.number - b.line.number,
  state: (a, b) => STATES.indexOf(a.state) - STATES.indexOf(b.state),
  site: (a, b) => (a.line.site < b.line.site ? -1 : a.line.site > b.line.site ? 1 : 0),
  battery: (a, b) => (a.line.battery ?? UNKNOWN) - (b.line.battery ?? UNKNOWN),
  seen: (a, b) => (b.line.seen ?? 0) - (a.line.seen ?? 0), // by age
  alerts: (a, b) => a.line.alerts.length - b.line.alerts.length,
};

// What the lists of the filters offer: what the fleet has.
export function choices(lines: Iterable<Line>): { sites: string[]; alerts: string[]; firmwares: string[] } {
  const sites = new Set<string>();
  const alerts = new Set<string>();
  const firmwares = new Set<string>();
  for (const line of lines) {
    sites.add(line.site);
    firmwares.add(line.firmware);
    for (const kind of line.alerts) alerts.add(kind);
  }
  const inOrder = (found: Set<string>): string[] => [...found].filter((one) => one !== "").sort();
  return { sites: inOrder(sites), alerts: inOrder(alerts), firmwares: inOrder(firmwares) };
}

export const stateChoices = STATES.map((state) => ({ value: state, word: LOOK[state].word }));
