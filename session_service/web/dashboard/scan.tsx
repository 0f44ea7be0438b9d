// At the kerb: the camera reads a label and opens its device; typing the number does the same. Once it was open, all of it
// works without a network, but for the label's signature, which the service alone can check.
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, get } from "./api";
import type { Fleet } from "./fleet";
import { go } from "./going";
import { keepLabels, keepScanner, lastLabels } from "./offline";
import type { Visit } from "./pages";
import { message } from "./parts";
import { age } from "./states";
import "./scan.css";

const LOOK_EVERY_MS = 120; // between looks at the film, as on the riders' page
const WANTED: MediaStreamConstraints = {
  audio: false, video: { facingMode: { ideal: "environment" }, width: { ideal: 1280 }, height: { ideal: 720 } },
};
const LABEL = /^\/L\/([0-9A-HJKMNP-TV-Z]{10})\/([0-9A-HJKMNP-TV-Z]{27})$/i;
const WRONG: Record<string, string> = {
  forged: "This label is not genuine. It claims to be of the device below: look at that one.",
  revoked: "This label has been replaced or revoked. It is of the device below.",
  suspended: "This label is out of use until somebody has looked at it. It is of the device below.",
};
const FAULTS: Record<string, string> = {
  NotAllowedError: "This page may not use the camera. Allow it in the browser's settings, or type the number.",
  NotFoundError: "This machine has no camera. Type the number.",
  NotReadableError: "Another app is using the camera. Close it and try again, or type the number.",
};

// The riders' scanner (static/reader.js), whose address the frame names.
interface Reader {
  name: string;
  read: (source: HTMLVideoElement, nth: number) => Promise<string[]>;
}

interface Scanned {
  label: { device_id: string };
  number: number;
  verdict: string;
}

async function reader(): Promise<Reader> {
  const { reader: address = "", zxingScript: script, zxingWasm: wasm } = document.getElementById("dashboard")?.dataset ?? {};
  const module = (await import(/* @vite-ignore */ address)) as { reader: (parts: object) => Promise<Reader> };
  const made = await module.reader({ script, wasm });
  if (made.name === "zxing-wasm") keepScanner(); // a browser that reads labels itself needs none
  return made;
}

interface InForce {
  rows: [string, number][];
  next_after: string | null;
}

const LABELS_AGAIN_MS = 600_000; // few labels are changed in a day, and the list has 200 kB in a city of 10,000

// Keep which label is on which device, if that is not known from a moment ago.
async function noteLabels(): Promise<void> {
  const last = await lastLabels();
  if (last && Date.now() - last.atMs < LABELS_AGAIN_MS) return;
  const numbers = new Map<string, number>();
  let page: InForce = { rows: [], next_after: "" };
  while (page.next_after !== null) {
    page = await get<InForce>(`/v1/ops/labels${page.next_after === "" ? "" : `?after=${page.next_after}`}`);
    for (const [label, number] of page.rows) numbers.set(label, number);
  }
  await keepLabels({ numbers, atMs: Date.now() });
}

// Label and signature of an address of ours; null for any other text.
function ours(text: string): [string, string] | null {
  const host = document.getElementById("dashboard")?.dataset["host"] ?? "";
  try {
    const url = new URL(text.trim());
    const found = LABEL.exec(url.pathname);
    if (!found || !/^https?:$/.test(url.protocol) || url.host.toLowerCase() !== host.toLowerCase()) return null;
    return [(found[1] ?? "").toUpperCase(), (found[2] ?? "").toUpperCase()];
  } catch {
    return null;
  }
}

// What there is to say of a label that does not simply open its device.
interface Doubt {
  why: string;
  id: string;
  number: number;
}

// Of which device a label was when it was last known; null where that is not known.
async function unchecked(label: string, fleet: Fleet): Promise<Doubt | null> {
  const kept = await lastLabels();
  const number = kept?.numbers.get(label);
  if (!kept || number === undefined) return null;
  await known(fleet);
  const id = fleet.lines.get(number)?.id;
  const why = `Without a network nobody can tell whether this label is genuine and in force. ${age(Date.now() - kept.atMs)} ago it was of the device below.`;
  return id === undefined ? null : { why, id, number };
}

export function ScanPage({ fleet }: Visit) {
  const [doubt, setDoubt] = useState<Doubt | null>(null);
  const [said, say] = useState("");
  useEffect(() => void noteLabels().catch(() => undefined), []); // without a network: what is kept stays
  async function found([label, signature]: [string, string]): Promise<boolean> {
    try {
      const scanned = await get<Scanned>(`/v1/ops/labels/${label}/signatures/${signature}`);
      if (scanned.verdict === "genuine") go(`/ops/devices/${scanned.label.device_id}`);
      else setDoubt({ why: WRONG[scanned.verdict] ?? scanned.verdict, id: scanned.label.device_id, number: scanned.number });
      return true;
    } catch (error) {
      const last = error instanceof ApiError ? null : await unchecked(label, fleet);
      if (last) return setDoubt(last), true;
      say(error instanceof ApiError ? message(error) : "The service cannot be reached. Type the number: what was last known of the device can be read.");
      return false;
    }
  }
  return (
    <main class="page scan">
      <h1>Scan a label</h1>
      {doubt === null ? <Camera onFound={found} say={say} /> : (
        <section aria-label="What was read" role="alert">
          <p class="low">⚠ {doubt.why}</p>
          <p><a class="big" href={`/ops/devices/${doubt.id}`}>Device {doubt.number}</a></p>
          <button type="button" onClick={() => (setDoubt(null), say(""))}>Scan another</button>
        </section>
      )}
      <p role="status" class="low">{said}</p>
      <ByNumber fleet={fleet} />
    </main>
  );
}

function Camera({ onFound, say }: { onFound: (label: [string, string]) => Promise<boolean>; say: (words: string) => void }) {
  const video = useRef<HTMLVideoElement>(null);
  const [tries, again] = useState(0);
  const [running, setRunning] = useState(false);
  useEffect(() => {
    let over = false;
    let stream: MediaStream | null = null;
    async function look(): Promise<void> {
      const [got, read] = await Promise.all([navigator.mediaDevices.getUserMedia(WANTED), reader()]);
      stream = got;
      const shown = video.current;
      if (over || !shown) return stop();
      shown.srcObject = got;
      await shown.play();
      setRunning(true);
      for (let nth = 0; !over; nth += 1) {
        const texts = shown.readyState >= shown.HAVE_CURRENT_DATA ? await read.read(shown, nth) : [];
        const label = texts.map(ours).find((one) => one !== null);
        if (label && !over && (await onFound(label))) return stop();
        if (texts.length > 0 && !label) say("This is not a label of ours.");
        await new Promise((done) => window.setTimeout(done, LOOK_EVERY_MS));
      }
    }
    function stop(): void {
      over = true;
      stream?.getTracks().forEach((track) => track.stop());
      setRunning(false);
    }
    say("");
    look().catch((error: unknown) => {
      stop();
      const name = navigator.mediaDevices ? (error instanceof Error ? error.name : "") : "NotFoundError";
      say(FAULTS[name] ?? "The camera did not start. Try again, or type the number.");
    });
    return stop;
  }, [tries]);
  return (
    <section aria-label="Camera">
      <div class={running ? "view" : "view waits"}>
        <video ref={video} muted playsInline aria-label="What the camera sees" />
        <Aim />
      </div>
      {!running && tries >= 0 && <button type="button" onClick={() => again(tries + 1)}>Start the camera again</button>}
      <p class="small">Bring the square of the label into the frame.</p>
    </section>
  );
}

// Where to hold the square; before the camera runs, what it looks like.
const Aim = () => (
  <svg viewBox="0 0 100 100" aria-hidden="true">
    <path class="corners" d="M4 24V4h20M76 4h20v20M96 76v20H76M24 96H4V76" />
    <path class="label" d="M26 26h16v16H26zM58 26h16v16H58zM26 58h16v16H26zM31 31h6v6h-6zM63 31h6v6h-6zM31 63h6v6h-6zM58 58h6v6h-6zM68 58h6v6h-6zM63 68h6v6h-6zM48 26h4v10h-4zM48 46h12v4H48zM26 48h12v4H26zM46 60h6v14h-6z" />
  </svg>
);

// The number on the thing, looked up in the fleet that the page has: it works without a network.
function ByNumber({ fleet }: { fleet: Fleet }) {
  const [said, say] = useState("");
  async function open(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const number = Number(new FormData(event.currentTarget as HTMLFormElement).get("number"));
    if (!fleet.ready) say("The fleet is still loading.");
    await known(fleet);
    const line = fleet.lines.get(number);
    if (line) go(`/ops/devices/${line.id}`);
    else say(`No device has the number ${number}.`);
  }
  return (
    <section aria-labelledby="number">
      <h2 id="number">Or type its number</h2>
      <form class="reason" onSubmit={(event) => void open(event)}>
        <label>Number<input name="number" inputMode="numeric" pattern="[0-9]{1,10}" required autocomplete="off" /></label>
        <button class="main">Open</button>
        <p class="fault" role="alert">{said}</p>
      </form>
    </section>
  );
}

// Wait until the fleet is there, from the service or as it was kept.
const known = (fleet: Fleet): Promise<void> =>
  new Promise((done) => {
    if (fleet.ready) return done();
    const stop = fleet.subscribe(() => {
      if (!fleet.ready) return;
      stop();
      done();
    });
  });
