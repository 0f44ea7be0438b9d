// A chart of lines or bars by uPlot, and under it the same numbers as a table, for whoever does not see it or wants them all.
//
//   <Chart title="Battery" unit="%" series={[{ name: "bike 1001", values: [80, 79, null] }]} times={[…]} />
//
// `times` are moments in milliseconds since 1970, growing, or texts such as days or places, which stand side by side.
// `values` has one number for each of them; null leaves a gap. `kind` is "line" unless it is said to be "bars" (of two
// series at the most), `ends` are those of its axis, `say` writes a value in words, and `table={false}` leaves the table out where the page has one of its own.
import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import "./chart.css";
import { heading, inWords, plotted, type ChartOf } from "./chart_options";

export function Chart(of: ChartOf) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(of); // what the plot's own functions read: they outlive the drawing that made them
  latest.current = of;
  const shape = `${of.kind}|${typeof of.times[0]}|${of.series.map(({ name }) => name).join("|")}`;
  useEffect(() => {
    const place = box.current;
    if (!place) return undefined;
    const made = new uPlot(plotted(latest, place), dataOf(latest.current), place);
    plot.current = made;
    const sized = new ResizeObserver(() => made.setSize({ width: place.clientWidth, height: made.height }));
    sized.observe(place);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    const repaint = (): void => made.redraw(false);
    scheme.addEventListener("change", repaint);
    return () => {
      scheme.removeEventListener("change", repaint);
      sized.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape]);
  useEffect(() => plot.current?.setData(dataOf(of)), [of.times, of.series]);
  return (
    <figure class="chart">
      <figcaption>{of.title}{of.unit === "" ? "" : ` (${of.unit})`}</figcaption>
      <div ref={box} role="img" aria-label={summary(of)} />
      {of.table !== false && <Numbers {...of} />}
    </figure>
  );
}

// What there is to see, in one line; the numbers themselves are in the table.
function summary(of: ChartOf): string {
  const first = of.times[0];
  const last = of.times[of.times.length - 1];
  if (first === undefined || last === undefined) return `${of.title}: nothing to show`;
  const parts = of.series.map(({ name, values }) => {
    const known = values.filter((value): value is number => value !== null);
    if (known.length === 0) return `${name}: nothing`;
    const [least, most] = known.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
    return `${name}: ${inWords(of, least)} to ${inWords(of, most)}`;
  });
  return `${of.title}, ${heading(first)} to ${heading(last)}. ${parts.join(". ")}. The numbers are in the table.`;
}

function dataOf({ times, series }: ChartOf): uPlot.AlignedData {
  const places = Array.from<number | string, number>(times, (time, n) => (typeof time === "string" ? n : time));
  return [places, ...series.map(({ values }) => [...values])] as uPlot.AlignedData;
}

// The rows are made when somebody opens them: a chart may have a thousand.
function Numbers(of: ChartOf) {
  const [open, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Numbers of {of.title}</summary>
      {open && (
        <div class="wide" role="region" aria-label={`Numbers of ${of.title}`} tabIndex={0}>
          <table>
            <thead>
              <tr><th scope="col">{typeof of.times[0] === "string" ? "Of" : "When"}</th>{of.series.map(({ name }) => <th key={name} scope="col" class="number">{name}</th>)}</tr>
            </thead>
            <tbody>
              {Array.from<number | string, VNode>(of.times, (time, n) => (
                <tr key={time}>
                  <th scope="row">{heading(time)}</th>
                  {of.series.map(({ name, values }) => <td key={name} class="number">{inWords(of, values[n])}</td>)}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </details>
  );
}
