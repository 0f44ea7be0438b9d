// All postings as a file. A month is the browser's own download; a year is streamed with a count that one sees grow.
import { useRef, useState } from "preact/hooks";
import { ApiError, type Problem } from "./api";
import { File } from "./money_parts";
import { message } from "./parts";

const PLAIN_DAYS = 31; // up to here a download takes some seconds
const TOLD_EVERY_MS = 250;
const LINE_FEED = 10;

export function Export({ path, days, name }: { path: string; days: number; name: string }) {
  return (
    <section aria-labelledby="export">
      <h2 id="export">As a file</h2>
      {days <= PLAIN_DAYS ? <p><File href={path}>All of these postings as CSV</File></p> : <Streamed path={path} name={name} />}
    </section>
  );
}

function Streamed({ path, name }: { path: string; name: string }) {
  const [said, say] = useState("");
  const [busy, setBusy] = useState(false);
  const stop = useRef<AbortController | null>(null);
  async function load(): Promise<void> {
    const control = (stop.current = new AbortController());
    setBusy(true);
    try {
      const rows = await save(path, name, control.signal, (count, bytes) => say(`${count.toLocaleString()} postings, ${(bytes / 1e6).toFixed(1)} MB`));
      say(`Done: ${rows.toLocaleString()} postings.`);
    } catch (error) {
      say(control.signal.aborted ? "Stopped; nothing was saved." : `${message(error)} Nothing was saved.`);
    }
    setBusy(false);
  }
  return (
    <>
      <p>
        <button type="button" disabled={busy} onClick={() => void load()}>⤓ All of these postings as CSV</button>{" "}
        {busy && <button type="button" onClick={() => stop.current?.abort()}>Stop</button>}
      </p>
      <p role="status" class="progress">{said}</p>
    </>
  );
}

// A file of which a part is missing looks like a whole one, so it is saved when it has come to its end, and only then.
async function save(path: string, name: string, signal: AbortSignal, tell: (rows: number, bytes: number) => void): Promise<number> {
  const response = await fetch(path, { signal });
  if (!response.ok || response.body === null) throw new ApiError(response.status, (await response.json()) as Problem);
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const reader = response.body.getReader();
  let lines = 0;
  let bytes = 0;
  let toldMs = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    bytes += part.value.length;
    for (const byte of part.value) if (byte === LINE_FEED) lines += 1;
    if (performance.now() - toldMs > TOLD_EVERY_MS) {
      tell(lines - 1, bytes);
      toldMs = performance.now();
    }
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(parts, { type: "text/csv" }));
  link.download = `${name}.csv`;
  link.click();
  URL.revokeObjectURL(link.href);
  return lines - 1; // the first one names the columns
}
