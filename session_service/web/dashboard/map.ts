// The map: every shown device on one canvas, those that would lie on one another as one mark with their number.
import * as L from "leaflet";
import type { Shown } from "./filters";
import type { State } from "./states";

const CELL_PX = 56; // devices in one cell of this size are one mark
const CELLS_ACROSS = 2 ** 22; // more than the world has at the closest zoom; its square is a whole number still
const ALONE_FROM_ZOOM = 17; // from here on each is drawn by itself
const OVERLAP = 0.85; // of the radii: a rim may touch a rim, but a number is always to be read
const CLOSEST = 19;
const MARK_PX = 7; // radius of a device
const REACH_PX = 14; // a finger or a pointer that is so near has hit it
const GRID_LINES = 4;

interface Mark {
  x: number;
  y: number;
  r: number;
  members: Shown[];
}

const counted = (number: number, word: string): string => `${number} ${word}${number === 1 ? "" : "s"}`;

type Shape = (pen: CanvasRenderingContext2D, x: number, y: number, r: number) => void;

const polygon =
  (corners: number, turned: number): Shape =>
  (pen, x, y, r) => {
    for (let n = 0; n < corners; n += 1) {
      const at = turned + (2 * Math.PI * n) / corners;
      pen.lineTo(x + r * Math.cos(at), y + r * Math.sin(at));
    }
    pen.closePath();
  };
const radius = (members: number): number => (members === 1 ? MARK_PX : 12 + Math.min(14, 2 * Math.log2(members)));

// Marks that would hide one another become one, the largest first; those of cells beside each other can come so near.
function apart(marks: Mark[]): Mark[] {
  const kept: Mark[] = [];
  for (const mark of marks.sort((a, b) => b.members.length - a.members.length)) {
    const under = kept.find((other) => Math.hypot(other.x - mark.x, other.y - mark.y) < OVERLAP * (other.r + mark.r));
    if (!under) {
      kept.push(mark);
      continue;
    }
    const [one, other] = [under.members.length, mark.members.length];
    under.x = (under.x * one + mark.x * other) / (one + other);
    under.y = (under.y * one + mark.y * other) / (one + other);
    for (const member of mark.members) under.members.push(member);
    under.r = radius(one + other);
  }
  return kept;
}

const circle: Shape = (pen, x, y, r) => pen.arc(x, y, r, 0, 2 * Math.PI);
const square = polygon(4, Math.PI / 4);
const diamond = polygon(4, 0);
const triangle = polygon(3, -Math.PI / 2);
const SHAPES: Record<State, { draw: Shape; hollow: boolean }> = {
  ready: { draw: circle, hollow: false },
  in_use: { draw: square, hollow: false },
  cleaning: { draw: diamond, hollow: true },
  held: { draw: triangle, hollow: false },
  maintenance: { draw: diamond, hollow: false },
  revoked: { draw: square, hollow: true },
  silent: { draw: circle, hollow: true },
  never: { draw: circle, hollow: true },
};

export class FleetMap {
  readonly #map: L.Map;
  readonly #canvas: HTMLCanvasElement;
  #shown: Shown[] = [];
  #marks: Mark[] = [];
  #frame = 0;
  #fitted = false;

  constructor(
    readonly box: HTMLElement,
    readonly onPick: (shown: Shown) => void,
  ) {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.#map = L.map(box, { zoomAnimation: false, fadeAnimation: false, inertia: !calm, maxZoom: CLOSEST, minZoom: 2, zoomSnap: 0.5 });
    this.#map.attributionControl.remove();
    this.#map.setView([0, 0], 2);
    new Grid(box).addTo(this.#map);
    this.#canvas = L.DomUtil.create("canvas", "marks", this.#map.getPane("overlayPane"));
    this.#canvas.setAttribute("role", "img"); // what it shows is in the list too, line by line
    this.#map.on("move zoom resize viewreset", () => this.#soon());
    this.#map.on("click", (event: L.LeafletMouseEvent) => this.#clicked(event.containerPoint));
    new ResizeObserver(() => this.#map.invalidateSize({ animate: false })).observe(box);
  }

  show(shown: Shown[]): void {
    this.#shown = shown;
    if (!this.#fitted) this.fit();
    this.#soon();
  }

  // Move such that everything shown is in sight.
  fit(): void {
    const places = this.#shown.flatMap(({ line }): [number, number][] =>
      line.lat === null || line.lon === null ? [] : [[line.lat, line.lon]],
    );
    if (places.length === 0 || this.box.clientWidth === 0) return; // hidden: it is fitted when it comes to be seen
    this.#map.invalidateSize({ animate: false });
    this.#fitted = true;
    this.#map.fitBounds(L.latLngBounds(places), { padding: [30, 30], maxZoom: ALONE_FROM_ZOOM, animate: false });
  }

  remove(): void {
    cancelAnimationFrame(this.#frame);
    this.#map.remove();
  }

  #soon(): void {
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    this.#frame = 0;
    const size = this.#map.getSize();
    const sharp = window.devicePixelRatio || 1;
    this.#canvas.width = size.x * sharp;
    this.#canvas.height = size.y * sharp;
    this.#canvas.style.width = `${size.x}px`;
    this.#canvas.style.height = `${size.y}px`;
    L.DomUtil.setPosition(this.#canvas, this.#map.containerPointToLayerPoint([0, 0]));
    this.#marks = this.#gathered(size);
    const pen = this.#canvas.getContext("2d");
    if (!pen) return;
    pen.scale(sharp, sharp);
    const style = getComputedStyle(this.box);
    const colour = (name: string): string => style.getPropertyValue(`--${name}`);
    for (const mark of this.#marks) this.#drawMark(pen, mark, colour);
    this.#name(`${counted(this.#shown.length, "device")}, ${counted(this.#marks.length, "mark")} in sight`);
  }

  #name(words: string): void {
    if (this.#canvas.getAttribute("aria-label") !== words) this.#canvas.setAttribute("aria-label", words);
  }

  // Which devices are in sight, those of one cell together. Cells lie on the ground, so they stay when the map moves.
  #gathered(size: L.Point): Mark[] {
    const zoom = this.#map.getZoom();
    const alone = zoom >= ALONE_FROM_ZOOM;
    const origin = this.#map.getPixelBounds().min ?? L.point(0, 0);
    const scale = 256 * 2 ** zoom;
    const cells = new Map<number, Mark>();
    for (const shown of this.#shown) {
      const worldX = scale * shown.line.x;
      const worldY = scale * shown.line.y;
      const x = worldX - origin.x;
      const y = worldY - origin.y;
      // Written so that a device without a place, whose x is NaN, is left out too.
      if (!(x >= -CELL_PX && y >= -CELL_PX && x <= size.x + CELL_PX && y <= size.y + CELL_PX)) continue;
      const key = alone ? shown.line.number : Math.floor(worldX / CELL_PX) * CELLS_ACROSS + Math.floor(worldY / CELL_PX);
      const mark = cells.get(key);
      if (mark) {
        mark.x += x;
        mark.y += y;
        mark.members.push(shown);
      } else cells.set(key, { x, y, r: MARK_PX, members: [shown] });
    }
    const marks = [...cells.values()];
    for (const mark of marks) {
      mark.x /= mark.members.length;
      mark.y /= mark.members.length;
      mark.r = radius(mark.members.length);
    }
    return alone ? marks : apart(marks);
  }

  #drawMark(pen: CanvasRenderingContext2D, mark: Mark, colour: (name: string) => string): void {
    const { x, y, r, members } = mark;
    const first = members[0];
    if (!first) return;
    const warned = members.some(({ line }) => line.alerts.length > 0);
    pen.beginPath();
    pen.lineWidth = 2;
    if (members.length === 1) {
      const { draw, hollow } = SHAPES[first.state];
      draw(pen, x, y, r);
      pen.fillStyle = hollow ? colour("paper") : colour(first.state);
      pen.strokeStyle = hollow ? colour(first.state) : colour("paper");
    } else {
      circle(pen, x, y, r);
      pen.fillStyle = colour("cluster");
      pen.strokeStyle = colour("paper");
    }
    pen.fill();
    pen.stroke();
    if (members.length > 1) {
      pen.fillStyle = colour("on-cluster");
      pen.font = "600 12px system-ui, sans-serif";
      pen.textAlign = "center";
      pen.textBaseline = "middle";
      pen.fillText(String(members.length), x, y);
    }
    if (!warned) return;
    pen.beginPath(); // a small triangle with a rim at the shoulder: something here has an alert
    triangle(pen, x + r * 0.8, y - r * 0.8, 7);
    pen.fillStyle = colour("alarm");
    pen.strokeStyle = colour("paper");
    pen.fill();
    pen.stroke();
  }

  #clicked(point: L.Point): void {
    let nearest: Mark | undefined;
    let nearestPx = Infinity;
    for (const mark of this.#marks) {
      const px = Math.hypot(mark.x - point.x, mark.y - point.y);
      if (px < nearestPx && px <= Math.max(REACH_PX, mark.r)) [nearest, nearestPx] = [mark, px];
    }
    const first = nearest?.members[0];
    if (!nearest || !first) return;
    if (nearest.members.length === 1) this.onPick(first);
    else this.#map.setView(this.#map.containerPointToLatLng([nearest.x, nearest.y]), this.#map.getZoom() + 2, { animate: false });
  }
}

// Plain lines, so that the map needs nobody else's pictures.
export class Grid extends L.GridLayer {
  constructor(readonly box: HTMLElement) {
    super({ updateWhenZooming: false });
  }

  override createTile(): HTMLElement {
    const size = this.getTileSize();
    const tile = document.createElement("canvas");
    tile.width = size.x;
    tile.height = size.y;
    const pen = tile.getContext("2d");
    if (!pen) return tile;
    pen.strokeStyle = getComputedStyle(this.box).getPropertyValue("--grid");
    for (let n = 0; n < GRID_LINES; n += 1) {
      const at = (n * size.x) / GRID_LINES + 0.5;
      pen.lineWidth = n === 0 ? 1.5 : 0.5;
      pen.beginPath();
      pen.moveTo(at, 0);
      pen.lineTo(at, size.y);
      pen.moveTo(0, at);
      pen.lineTo(size.x, at);
      pen.stroke();
    }
    return tile;
  }
}
