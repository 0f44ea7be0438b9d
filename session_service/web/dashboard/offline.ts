// What the page keeps for when the network is gone: the fleet as it was, the devices that were looked at last, and which
// label is on which device.
//
// It lies in IndexedDB, which scripts of no other site read. It is gone with Sign out, when the service says that nobody
// is signed in, and when it is older than a shift. Nothing is kept that opens a lock: no token, no label's signature.
import type { Command, Device, Me } from "./api";
import type { Kept as KeptFleet } from "./fleet";

const NAME = "unlatch-dashboard";
const STORE = "kept";
const KEPT_MAX_MS = 12 * 3_600_000; // a shift: what is older helps nobody at the kerb
const DEVICES_MAX = 50; // what a technician has looked at in a day

export interface KeptDevice {
  device: Device;
  commands: Command[];
  atMs: number;
}

interface Shelf {
  me: { value: Me; atMs: number };
  fleet: KeptFleet;
  devices: KeptDevice[];
  labels: KeptLabels;
}

export interface KeptLabels {
  numbers: Map<string, number>; // of devices, by their labels' ids
  atMs: number;
}

let open: Promise<IDBDatabase> | null = null;
let signedIn = false; // what is still on its way after Sign out is not written

function database(): Promise<IDBDatabase> {
  open ??= new Promise((done, failed) => {
    const asked = indexedDB.open(NAME, 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore(STORE);
    asked.onsuccess = () => {
      asked.result.onversionchange = () => asked.result.close(); // another tab has signed out
      asked.result.onclose = () => (open = null);
      done(asked.result);
    };
    asked.onerror = () => failed(asked.error);
  });
  open.catch(() => (open = null));
  return open;
}

function asked<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((done, failed) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error);
  });
}

async function read<K extends keyof Shelf>(key: K): Promise<Shelf[K] | undefined> {
  try {
    return (await asked((await database()).transaction(STORE).objectStore(STORE).get(key))) as Shelf[K] | undefined;
  } catch {
    return undefined; // a browser that keeps nothing
  }
}

async function write<K extends keyof Shelf>(key: K, value: Shelf[K]): Promise<void> {
  if (!signedIn) return;
  try {
    const store = (await database()).transaction(STORE, "readwrite").objectStore(STORE);
    if (signedIn) await asked(store.put(value, key));
  } catch {
    // full, or a browser that keeps nothing: the page works as long as there is a network
  }
}

const young = (atMs: number): boolean => Date.now() - atMs < KEPT_MAX_MS;

// Begin to keep for somebody who has signed in; what another person has left is thrown away first.
export async function keepFor(me: Me): Promise<void> {
  const before = await read("me");
  if (before && before.value.operator_id !== me.operator_id) await forget();
  signedIn = true;
  await write("me", { value: me, atMs: Date.now() });
}

// Who was signed in when the network went, if that is not long ago.
export async function lastSignedIn(): Promise<Me | null> {
  const kept = await read("me");
  if (kept && young(kept.atMs)) return kept.value;
  if (kept) await forget();
  return null;
}

export const keepFleet = (fleet: KeptFleet): Promise<void> => write("fleet", fleet);

export async function lastFleet(): Promise<KeptFleet | null> {
  const kept = await read("fleet");
  return kept && young(kept.atMs) ? kept : null;
}

export async function keepDevice(kept: KeptDevice): Promise<void> {
  const others = ((await read("devices")) ?? []).filter(({ device, atMs }) => device.device_id !== kept.device.device_id && young(atMs));
  await write("devices", [kept, ...others].slice(0, DEVICES_MAX));
}

export async function lastDevice(id: string): Promise<KeptDevice | null> {
  const found = ((await read("devices")) ?? []).find(({ device }) => device.device_id === id);
  return found && young(found.atMs) ? found : null;
}

export const keepLabels = (kept: KeptLabels): Promise<void> => write("labels", kept);

export async function lastLabels(): Promise<KeptLabels | null> {
  const kept = await read("labels");
  return kept && young(kept.atMs) ? kept : null;
}

// Throw all of it away.
export async function forget(): Promise<void> {
  signedIn = false;
  try {
    (await database()).close();
  } catch {
    // there is none
  }
  open = null;
  await new Promise((done) => {
    const gone = indexedDB.deleteDatabase(NAME);
    gone.onsuccess = gone.onerror = gone.onblocked = done;
  });
}

// Have the scanner itself kept, by the worker that serves it: a megabyte, for whoever scans.
export function keepScanner(): void {
  void navigator.serviceWorker?.ready.then(({ active }) => active?.postMessage("keep later"));
}

// The worker that shows the frame where there is no network; the riders' pages have one of their own.
export function startWorker(): void {
  navigator.serviceWorker?.register("/ops/sw.js", { scope: "/ops" }).catch(() => undefined); // refused: no offline view
}
