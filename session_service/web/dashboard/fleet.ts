// The fleet as the page knows it: one snapshot, then the stream of changes. A stream that drops catches up by itself.
import { get, onSignedOut, type Me } from "./api";

export interface Line {
  id: string;
  number: number;
  kind: string;
  site: string;
  lat: number | null;
  lon: number | null;
  service: string;
  bolt: string;
  battery: number | null;
  seen: number | null;
  session: string | null;
  alerts: string[];
  firmware: string;
  x: number; // where it lies on the map, of the world's width and height (Web Mercator); NaN where that is not known
  y: number;
}

type Row = [
  string, number, string, string, number | null, number | null, string, string, number | null, number | null,
  string | null, string[], string,
];

interface Answer {
  columns: string[];
  cursor: string;
  now_ms: number;
  stale_after_ms: number;
  rows: Row[];
}

// The fleet as it was at a moment, by this machine's clock, to be shown when the network is gone.
export interface Kept {
  lines: Line[];
  staleMs: number;
  aheadMs: number;
  atMs: number;
}

interface Change {
  at_ms: number;
  rows: Row[];
  heard: [number, number][];
}

const COLUMNS =
  "id number kind site lat lon service bolt battery_percent seen_at_ms session_state alerts agent_version";
const QUIET_MS = 12_000; // the service speaks every 5 s; after two that are missing the stream is called lost
const UNSEEN_MS = 30_000; // so long a page that nobody sees follows on; a browser has six connections for all its pages
const RETRY_MS = 2_000; // between tries to take a new snapshot

function lineOf(row: Row): Line {
  const [id, number, kind, site, lat, lon, service, bolt, battery, seen, session, alerts, firmware] = row;
  const sine = Math.sin(((lat ?? NaN) * Math.PI) / 180);
  const x = (lon ?? NaN) / 360 + 0.5;
  const y = 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI);
  return { id, number, kind, site, lat, lon, service, bolt, battery, seen, session, alerts, firmware, x, y };
}

export class Fleet {
  readonly lines = new Map<number, Line>();
  readonly ids = new Map<string, Line>();
  staleMs = 90_000;
  ready = false;
  version = 0; // grows with each change
  alertsVersion = 0; // grows with each change of what has an alert, or had one
  #aheadMs = 0; // the service's clock less ours
  #heardMs = 0; // by our clock, when the stream last spoke
  #source: EventSource | undefined;
  #retry: number | undefined;
  #listeners = new Set<() => void>();
  #closed = false;
  #first: Promise<Answer> | undefined;
  #cursor = ""; // of the newest change
  #unseen: number | undefined;

  // Ask for the fleet already while the page finds out who is signed in; who is not gets a 401, and no harm is done.
  ask(): void {
    this.#first = get<Answer>("/v1/ops/fleet");
    this.#first.catch(() => undefined);
  }

  open(): void {
    this.#closed = false;
    void this.#load();
    onSignedOut(() => this.close());
    document.addEventListener("visibilitychange", this.#seen);
  }

  close(): void {
    this.#closed = true;
    this.#source?.close();
    window.clearTimeout(this.#retry);
    window.clearTimeout(this.#unseen);
    document.removeEventListener("visibilitychange", this.#seen);
  }

  // A page in the background lets its stream go, and goes on after the last change when it is looked at again.
  #seen = (): void => {
    window.clearTimeout(this.#unseen);
    if (document.hidden) this.#unseen = window.setTimeout(() => this.#source?.close(), UNSEEN_MS);
    else if (this.ready && this.#source?.readyState === EventSource.CLOSED) this.#follow(this.#cursor);
  };

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  // What is known now, for another time; null while nothing is.
  kept(): Kept | null {
    if (!this.ready) return null;
    return { lines: [...this.lines.values()], staleMs: this.staleMs, aheadMs: this.#aheadMs, atMs: this.#heardMs };
  }

  // Show what was known, until the service has been reached.
  restore(kept: Kept): void {
    if (this.ready) return;
    for (const line of kept.lines) this.#put(line);
    this.staleMs = kept.staleMs;
    this.#aheadMs = kept.aheadMs;
    this.#heardMs = kept.atMs;
    this.ready = true;
    this.version += 1;
    this.#tell();
  }

  // Now, by the service's clock.
  now(): number {
    return Date.now() + this.#aheadMs;
  }

  // How long the stream has said nothing, and whether it ought to have.
  streamAge(): { ageMs: number; lost: boolean } {
    const ageMs = this.#heardMs === 0 ? 0 : Date.now() - this.#heardMs;
    return { ageMs, lost: this.ready && (ageMs > QUIET_MS || this.#source?.readyState !== EventSource.OPEN) };
  }

  async #load(): Promise<void> {
    this.#source?.close();
    try {
      const first = this.#first;
      this.#first = undefined;
      const found = (await first?.catch(() => undefined)) ?? (await get<Answer>("/v1/ops/fleet"));
      if (found.columns.join(" ") !== COLUMNS) window.location.reload(); // another release of the service
      if (this.#closed) return;
      this.lines.clear();
      this.ids.clear();
      for (const row of found.rows) this.#put(lineOf(row));
      this.staleMs = found.stale_after_ms;
      this.ready = true;
      this.alertsVersion += 1;
      this.#spoke(found.now_ms);
      this.#follow(found.cursor);
    } catch {
      if (!this.#closed) this.#later();
    }
  }

  #later(): void {
    window.clearTimeout(this.#retry);
    this.#retry = window.setTimeout(() => void this.#load(), RETRY_MS);
  }

  #follow(cursor: string): void {
    const source = new EventSource(`/v1/ops/fleet/events?after=${cursor}`);
    this.#source = source;
    this.#cursor = cursor;
    source.addEventListener("change", (event) => {
      const { data, lastEventId } = event as MessageEvent<string>;
      this.#cursor = lastEventId;
      this.#take(JSON.parse(data) as Change);
    });
    source.addEventListener("tick", (event) => this.#spoke(Number((event as MessageEvent<string>).data)));
    source.addEventListener("reset", () => void this.#load());
    // The browser tries again by itself, with the last event's name, unless the answer was an error.
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) void this.#ask();
      this.#tell();
    });
  }

  async #ask(): Promise<void> {
    await get<Me>("/v1/ops/sign-ins/current").catch(() => undefined); // who is signed out is told so by api.ts
    if (!this.#closed) this.#later();
  }

  #take(change: Change): void {
    for (const row of change.rows) this.#put(lineOf(row));
    for (const [number, seen] of change.heard) {
      const line = this.lines.get(number);
      if (line) line.seen = seen;
    }
    this.#spoke(change.at_ms);
  }

  #put(line: Line): void {
    const alerted = (one?: Line): boolean => (one?.alerts.length ?? 0) > 0;
    if (alerted(line) || alerted(this.lines.get(line.number))) this.alertsVersion += 1;
    this.lines.set(line.number, line);
    this.ids.set(line.id, line);
  }

  #spoke(nowMs: number): void {
    this.#aheadMs = nowMs - Date.now();
    this.#heardMs = Date.now();
    this.version += 1;
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}
