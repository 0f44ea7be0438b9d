// Where a session began and where its lock closed, on plain lines: the map needs nobody else's pictures.
import * as L from "leaflet";
import { useEffect, useRef } from "preact/hooks";
import type { Place } from "./case";
import { Grid } from "./map";

const CLOSEST = 17;
const SAME_M = 5; // two marks that are nearer than this are one

const words = (place: Place): string => `${place.lat.toFixed(5)}, ${place.lon.toFixed(5)}`;
const apartM = (a: Place, b: Place): number => L.latLng(a.lat, a.lon).distanceTo(L.latLng(b.lat, b.lon));

export function CaseMap({ start, end }: { start: Place | null; end: Place | null }) {
  const box = useRef<HTMLDivElement>(null);
  const key = JSON.stringify([start, end]); // read every two seconds, and drawn when it has changed
  useEffect(() => (box.current === null || start === null ? undefined : drawn(box.current, start, end)), [key]);
  if (start === null) return null;
  return (
    <section aria-labelledby="places">
      <h2 id="places">Places</h2>
      <p>Start {words(start)}. {end === null ? "The end is not known." : `End ${words(end)}, ${Math.round(apartM(start, end))} m away.`}</p>
      <div class="case-map" ref={box} role="img" aria-label="Map of start and end" />
    </section>
  );
}

function drawn(box: HTMLElement, start: Place, end: Place | null): () => void {
  const map = L.map(box, { zoomControl: false, dragging: false, scrollWheelZoom: false, doubleClickZoom: false, keyboard: false, maxZoom: CLOSEST });
  map.attributionControl.remove();
  const ink = getComputedStyle(box).getPropertyValue("--ink");
  const together = end !== null && apartM(start, end) < SAME_M;
  const marks = [{ place: start, word: together ? "Start and end" : "Start" }];
  if (end !== null && !together) marks.push({ place: end, word: "End" });
  map.fitBounds(L.latLngBounds(marks.map(({ place }): [number, number] => [place.lat, place.lon])), { padding: [50, 50], animate: false });
  new Grid(box).addTo(map);
  for (const { place, word } of marks)
    L.circleMarker([place.lat, place.lon], { radius: 7, color: ink, interactive: false }).bindTooltip(word, { permanent: true }).addTo(map);
  return () => map.remove();
}
