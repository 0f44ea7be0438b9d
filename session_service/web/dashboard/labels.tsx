// Labels for many devices at once: chosen by the same filter as the fleet, on sheets of A4 or Letter.
import { useMemo, useState } from "preact/hooks";
import { choices, fromAddress, toAddress, view, type Filter } from "./filters";
import { Filters, useBeat } from "./fleet_page";
import { go } from "./going";
import { newLabel, PaperChoice, printed, SHEET_MAX_LABELS, withoutLabel, type Paper } from "./labels_print";
import type { Visit } from "./pages";
import { message, ReasonForm } from "./parts";
import { LOOK } from "./states";

const SHOWN_MAX = SHEET_MAX_LABELS; // more than one print takes is nothing to tick by hand

export function LabelsPage({ fleet, url }: Visit) {
  const filter = fromAddress(url.search);
  const beat = useBeat(fleet);
  const [left, leave] = useState<ReadonlySet<string>>(new Set()); // unticked by hand
  const [paper, setPaper] = useState<Paper>("a4");
  const [bare, setBare] = useState<string[]>([]); // without a label
  const found = useMemo(() => view(fleet.lines.values(), filter, fleet.now(), fleet.staleMs).filter(({ state }) => state !== "revoked"), [url.search, beat]);
  const offered = useMemo(() => choices(fleet.lines.values()), [fleet.ready, Math.floor(beat / 20)]);
  const shown = found.slice(0, SHOWN_MAX);
  const chosen = shown.filter(({ line }) => !left.has(line.id)).map(({ line }) => line.id);
  const change = (part: Partial<Filter>): void => go(`/ops/labels${toAddress({ ...filter, ...part })}`, { replace: true });

  function tick(id: string, on: boolean): void {
    const next = new Set(left);
    if (on) next.delete(id);
    else next.add(id);
    leave(next);
  }

  async function print(reason: string): Promise<string> {
    setBare([]);
    if (chosen.length === 0) return "Choose at least one device.";
    try {
      await printed(chosen, paper, reason);
    } catch (error) {
      setBare(withoutLabel(error));
      throw error;
    }
    return `Printed ${chosen.length} labels: the sheet is in your downloads.`;
  }

  return (
    <main class="page labels-page">
      <h1>Print labels</h1>
      <section aria-labelledby="which">
        <h2 id="which">Which devices</h2>
        <Filters filter={filter} offered={offered} onChange={change} />
        <p role="status" class="count">{fleet.ready ? `${chosen.length.toLocaleString()} of ${fleet.lines.size.toLocaleString()} devices chosen` : "Loading"}{found.length > SHOWN_MAX ? `; a print takes ${SHOWN_MAX}, narrow the filter for the others` : ""}</p>
        <fieldset class="ticks">
          <legend>Devices</legend>
          <div>
            {shown.map(({ line, state }) => (
              <label key={line.id} class="check">
                <input type="checkbox" checked={!left.has(line.id)} onChange={(event) => tick(line.id, event.currentTarget.checked)} />
                <span>{line.kind} {line.number} <span class="small">{line.site || "no site"}, {LOOK[state].word}</span></span>
              </label>
            ))}
          </div>
        </fieldset>
      </section>
      <section aria-labelledby="sheet">
        <h2 id="sheet">Sheet</h2>
        <p>Each device's newest label in force, 16 on a page, to cut along the marks. Print at 100 %, not fitted to the page.</p>
        <ReasonForm word={`Print ${chosen.length} labels`} act={print}>
          <div onChange={(event) => setPaper((event.target as HTMLSelectElement).value as Paper)}><PaperChoice /></div>
        </ReasonForm>
        {bare.length > 0 && <FirstLabels ids={bare} names={new Map(shown.map(({ line }) => [line.id, `${line.kind} ${line.number}`]))} onDone={() => setBare([])} />}
      </section>
    </main>
  );
}

// Devices that have no label yet, or none in force: each gets one, then the sheet can be printed.
function FirstLabels({ ids, names, onDone }: { ids: string[]; names: Map<string, string>; onDone: () => void }) {
  const [made, setMade] = useState(0);
  async function make(reason: string): Promise<string> {
    for (const [n, id] of ids.entries()) {
      try {
        await newLabel(id, reason, false);
      } catch (error) {
        return `${n} of ${ids.length} made. ${names.get(id) ?? id}: ${message(error)}`;
      }
      setMade(n + 1);
    }
    onDone();
    return `${ids.length} made. Print the sheet now.`;
  }
  return (
    <>
      <p role="alert">⚠ {ids.length} of them have no label in force: {ids.map((id) => names.get(id) ?? id).join(", ")}.</p>
      <ReasonForm word={`Make ${ids.length} labels`} act={make}>
        {made > 0 ? <p>{made} of {ids.length} made</p> : null}
      </ReasonForm>
    </>
  );
}
