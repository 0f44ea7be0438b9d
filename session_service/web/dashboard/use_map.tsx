// Circles where things were taken or left: as large as their number, which stands in those that have the room for it.
import * as L from "leaflet";
import { useEffect, useRef } from "preact/hooks";
import { Grid } from "./map";

const CLOSEST = 17;
const LEAST_PX = 4; // radius of a place with one
const MORE_PX = 22; // added to it where there is most; the area grows as the number does
const ROOM_PX = 26; // between two numbers that can be told apart
const NUMBERS = 60;

export interface Circle {
  place: string;
  lat: number;
  lon: number;
  count: number; // below zero where more ended than began
}

export function UseMap({ circles, word }: { circles: Circle[]; word: string }) {
  const box = useRef<HTMLDivElement>(null);
  const map = useRef<Circles | null>(null);
  useEffect(() => {
    if (!box.current) return undefined;
    const made = new Circles(box.current);
    map.current = made;
    return () => made.remove();
  }, []);
  const key = JSON.stringify(circles);
  useEffect(() => map.current?.show(circles), [key]);
  const seen = circles.filter(({ count }) => count !== 0).length;
  return <div class="use-map" ref={box} role="group" aria-label={`${word} on the map, ${seen} places; the numbers are in the table`} />;
}

class Circles {
  readonly #map: L.Map;
  readonly #drawn = L.layerGroup();
  readonly #canvas = L.canvas({ padding: 0.3 });
  readonly #scheme = matchMedia("(prefers-color-scheme: dark)");
  #circles: Circle[] = [];
  #fitted = "";

  constructor(readonly box: HTMLElement) {
    this.#map = L.map(box, { zoomAnimation: false, fadeAnimation: false, scrollWheelZoom: false, minZoom: 2, maxZoom: CLOSEST, zoomSnap: 0.5 });
    this.#map.attributionControl.remove();
    this.#map.setView([0, 0], 2);
    new Grid(box).addTo(this.#map);
    this.#drawn.addTo(this.#map);
    this.#map.on("zoomend", this.#draw);
    this.#scheme.addEventListener("change", this.#draw);
  }

  show(circles: Circle[]): void {
    this.#circles = circles.filter(({ count }) => count !== 0).sort((a, b) => Math.abs(b.count) - Math.abs(a.count));
    const bounds = L.latLngBounds(circles.map(({ lat, lon }): [number, number] => [lat, lon]));
    if (bounds.isValid() && bounds.toBBoxString() !== this.#fitted) {
      this.#fitted = bounds.toBBoxString();
      this.#map.fitBounds(bounds, { padding: [30, 30], maxZoom: CLOSEST, animate: false });
    }
    this.#draw();
  }

  remove(): void {
    this.#scheme.removeEventListener("change", this.#draw);
    this.#map.remove();
  }

  #draw = (): void => {
    this.#drawn.clearLayers();
    const style = getComputedStyle(this.box);
    const most = Math.abs(this.#circles[0]?.count ?? 1);
    const numbered: L.Point[] = [];
    for (const { place, lat, lon, count } of this.#circles) {
      const color = style.getPropertyValue(count < 0 ? "--held" : "--in_use");
      const radius = LEAST_PX + MORE_PX * Math.sqrt(Math.abs(count) / most);
      L.circleMarker([lat, lon], { renderer: this.#canvas, radius, color, weight: 1.5, fillOpacity: 0.3 }).bindTooltip(`${place}: ${count}`).addTo(this.#drawn);
      const at = this.#map.latLngToLayerPoint([lat, lon]);
      if (numbered.length >= NUMBERS || numbered.some((other) => other.distanceTo(at) < ROOM_PX)) continue;
      numbered.push(at);
      const icon = L.divIcon({ className: "use-count", html: String(count), iconSize: [40, 18] });
      L.marker([lat, lon], { icon, interactive: false, keyboard: false }).addTo(this.#drawn);
    }
  };
}
