// In which order a van drives to the chosen visits, or to those that the filters leave; a proposal, as the crow flies.
import * as L from "leaflet";
import { useEffect, useRef, useState } from "preact/hooks";
import { inWords } from "./alerts_words";
import type { Fleet } from "./fleet";
import { Grid } from "./map";
import { Fault, useLoaded } from "./parts";
import { nameOf, type Visit } from "./visits_entry";

const MAX_STOPS = 40; // a van makes so many a day
const DIGITS = 5; // of a degree: a metre
const METRES_A_DEGREE = 111_195;

interface Way {
  length_m: number;
  visits: Visit[];
  nowhere: Visit[];
}

interface Asked {
  wanted: { from: string };
  query: URLSearchParams;
  chosen: string[];
  visits: Visit[];
  fleet: Fleet;
  onChange: (part: { from?: string; stops?: string }) => void;
}

export function RoutePlan({ wanted, query, chosen, visits, fleet, onChange }: Asked) {
  const [fault, setFault] = useState("");
  const from = /^(-?\d{1,2}(?:\.\d+)?),(-?\d{1,3}(?:\.\d+)?)$/.exec(wanted.from);
  const first = visits.find((one) => one.lat !== null && one.lon !== null);
  const set = (lat: number, lon: number): void => {
    setFault("");
    onChange({ from: `${lat.toFixed(DIGITS)},${lon.toFixed(DIGITS)}` });
  };
  const here = (): void =>
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => set(coords.latitude, coords.longitude),
      () => setFault("This browser does not say where you are. Start from the costliest visit, or allow it to."),
    );
  const stops = chosen.length > 0 ? `${chosen.length} chosen` : "all that are listed";
  return (
    <section class="route" aria-labelledby="route">
      <h2 id="route">Route</h2>
      <div class="deeds">
        <button type="button" onClick={here}>From where I am</button>
        <button type="button" disabled={!first} onClick={() => first && set(first.lat ?? 0, first.lon ?? 0)}>From the costliest</button>
        {chosen.length > 0 && <button type="button" onClick={() => onChange({ stops: "" })}>Choose none</button>}
        {from && <button type="button" onClick={() => onChange({ from: "" })}>No route</button>}
      </div>
      <p class="small">Through {stops}, {MAX_STOPS} stops at the most.</p>
      {fault !== "" && <p class="fault" role="alert">{fault}</p>}
      {from && <Drive start={[Number(from[1]), Number(from[2])]} query={query} chosen={chosen} fleet={fleet} />}
    </section>
  );
}

function Drive({ start, query, chosen, fleet }: { start: [number, number] } & Pick<Asked, "query" | "chosen" | "fleet">) {
  const asked = new URLSearchParams(query);
  asked.set("lat", String(start[0]));
  asked.set("lon", String(start[1]));
  asked.set("limit", String(MAX_STOPS));
  for (const id of chosen) asked.append("stop", id);
  const loaded = useLoaded<Way>(`/v1/ops/visits/route?${asked.toString()}`);
  const way = loaded.value;
  if (!way) return <Fault of={loaded} />;
  let before = start;
  const legs = way.visits.map((visit) => {
    const place: [number, number] = [visit.lat ?? 0, visit.lon ?? 0];
    const away = metres(before, place);
    before = place;
    return { visit, away };
  });
  return (
    <>
      <Fault of={loaded} />
      <p role="status">{way.visits.length} stops, {distance(way.length_m)} as the crow flies</p>
      <div class="way">
        <WayMap start={start} visits={way.visits} />
        <ol class="legs">
          {legs.map(({ visit, away }) => (
            <li key={visit.id}>
              <a href={visit.device_id === null ? `/ops/alerts/${visit.id}` : `/ops/devices/${visit.device_id}`}>{nameOf(visit, fleet)}</a> {visit.site}, {inWords(visit.alerts[0]?.kind ?? "").toLowerCase()}
              <span class="away"> {distance(away)}</span>
            </li>
          ))}
        </ol>
      </div>
      {way.nowhere.length > 0 && <p>Nobody knows where these are: {way.nowhere.map((one) => nameOf(one, fleet)).join(", ")}</p>}
    </>
  );
}

const distance = (m: number): string => (m < 1_000 ? `${Math.round(m)} m` : `${(m / 1_000).toFixed(1)} km`);

// On a plane at the first of the two: good to a percent over a city, as session_service/visits/route.py has it.
function metres([lat, lon]: [number, number], [toLat, toLon]: [number, number]): number {
  const turned = ((((toLon - lon + 180) % 360) + 360) % 360) - 180;
  return Math.hypot(toLat - lat, turned * Math.cos((lat * Math.PI) / 180)) * METRES_A_DEGREE;
}

function WayMap({ start, visits }: { start: [number, number]; visits: Visit[] }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!box.current) return undefined;
    const map = L.map(box.current, { zoomAnimation: false, fadeAnimation: false, maxZoom: 19, minZoom: 2, zoomSnap: 0.5, scrollWheelZoom: false });
    map.attributionControl.remove();
    const places: [number, number][] = [start, ...visits.map((one): [number, number] => [one.lat ?? 0, one.lon ?? 0])];
    map.fitBounds(L.latLngBounds(places), { padding: [30, 30], maxZoom: 17, animate: false });
    new Grid(box.current).addTo(map);
    const colour = getComputedStyle(box.current).getPropertyValue("--main");
    L.polyline(places, { color: colour, weight: 3, interactive: false }).addTo(map);
    places.forEach((place, n) => {
      const mark = L.circleMarker(place, { radius: 5, color: colour, fillOpacity: 1, interactive: false });
      mark.bindTooltip(n === 0 ? "Start" : String(n), { permanent: true, direction: n === 0 ? "bottom" : "top", className: "stop-number" }).addTo(map);
    });
    return () => void map.remove();
  }, [start.join(), visits.map((one) => one.id).join()]);
  return <div class="way-map" ref={box} role="group" aria-label="The route on a map; the list says the same" />;
}
