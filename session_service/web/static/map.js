// The map beside the list, and the list where the phone is. The map shows what the list says and knows nothing else:
// each mark is an item of the list, with its words.

const PLACE = { enableHighAccuracy: true, timeout: 15_000, maximumAge: 60_000 };
const DIGITS = 4; // of degrees: eleven metres are enough to find a bike, and say less of who asks
const MARK_PX = 34, HERE_PX = 20, LINES = 4;
const CLOSEST = 17;

const box = document.getElementById("map");
const locate = document.getElementById("locate");
const nowhere = document.getElementById("nowhere");
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
let map = null, marks = null;

async function draw() {
  try {
    await load(box.dataset.leaflet);
  } catch {
    return; // the list says everything
  }
  if (!map) begin();
  const found = document.getElementById("found");
  const items = [...found.querySelectorAll("li[data-lat]")];
  const here = found.dataset.lat ? [placeOf(found)] : [];
  const places = [...items.map(placeOf), ...here];
  box.hidden = !places.length;
  if (!places.length) return;
  marks.clearLayers();
  map.invalidateSize({ animate: false });
  map.fitBounds(places, { padding: [30, 30], maxZoom: CLOSEST, animate: false });
  items.forEach(mark);
  for (const place of here) {
    const icon = L.divIcon({ className: "here", iconSize: [HERE_PX, HERE_PX] });
    const self = L.marker(place, { icon, interactive: false, keyboard: false }).addTo(marks).getElement();
    self.setAttribute("role", "img");
    self.setAttribute("aria-label", found.dataset.here);
  }
}

function placeOf({ dataset }) {
  return [Number(dataset.lat), Number(dataset.lon)];
}

function mark(item, n) {
  const { kind, free } = item.dataset, words = item.textContent.replace(/\s+/g, " ").trim();
  const size = free ? MARK_PX + Math.min(20, Math.round(4 * Math.log2(Number(free)))) : MARK_PX;
  const beside = !free ? size / 2 : kind === "bike" ? size : 0; // both kinds of an area stand side by side
  const icon = L.divIcon({ className: `pin ${kind}`, html: free ?? String(n + 1), iconSize: [size, size], iconAnchor: [beside, size / 2] });
  const said = document.createElement("p");
  said.textContent = words;
  const set = L.marker(placeOf(item), { icon, riseOnHover: true }).addTo(marks).bindPopup(said);
  set.getElement().setAttribute("aria-label", free ? words : `${n + 1}: ${words}`);
}

function begin() {
  box.hidden = false;
  map = L.map(box, { zoomControl: false, zoomAnimation: !calm, fadeAnimation: !calm, markerZoomAnimation: !calm, maxZoom: 19 });
  L.control.zoom({ zoomInTitle: box.dataset.closer, zoomOutTitle: box.dataset.farther }).addTo(map);
  map.attributionControl.setPrefix(false);
  map.on("popupopen", ({ popup }) => popup.getElement().querySelector(".leaflet-popup-close-button")?.setAttribute("aria-label", box.dataset.close));
  const { tiles, attribution } = box.dataset;
  const plain = document.createElement("p");
  plain.textContent = attribution;
  if (tiles) L.tileLayer(tiles, { attribution: plain.innerHTML, maxZoom: 19 }).addTo(map);
  else grid().addTo(map);
  marks = L.layerGroup().addTo(map);
}

// Plain lines, so that a map needs nobody else's pictures.
function grid() {
  const Lines = L.GridLayer.extend({
    createTile() {
      const size = this.getTileSize(), tile = document.createElement("canvas");
      tile.width = size.x;
      tile.height = size.y;
      const pen = tile.getContext("2d");
      pen.strokeStyle = getComputedStyle(box).getPropertyValue("--line");
      for (let n = 0; n < LINES; n += 1) {
        const at = (n * size.x) / LINES + 0.5;
        pen.lineWidth = n ? 0.5 : 1.5;
        pen.beginPath();
        pen.moveTo(at, 0);
        pen.lineTo(at, size.y);
        pen.moveTo(0, at);
        pen.lineTo(size.x, at);
        pen.stroke();
      }
      return tile;
    },
  });
  return new Lines();
}

function load(script) {
  if (globalThis.L) return null;
  return new Promise((done, failed) => {
    const element = document.createElement("script");
    element.src = script;
    element.onload = done;
    element.onerror = () => failed(new Error("no map"));
    document.head.append(element);
  });
}

/** Ask for the page as it is elsewhere, and take the list over; the address stays, and says not where anybody was. */
async function show(url) {
  const response = await fetch(url, { headers: { Accept: "text/html" } });
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("found");
  if (!response.ok || !fresh) { location.assign(url); return; }
  document.getElementById("found").replaceWith(document.adoptNode(fresh));
  fresh.tabIndex = -1;
  fresh.focus({ preventScroll: true });
  await draw();
}

function ask() {
  const text = locate.textContent;
  const ready = () => { locate.disabled = false; locate.classList.remove("busy"); locate.textContent = text; };
  locate.disabled = true;
  locate.classList.add("busy");
  locate.textContent = locate.dataset.busy;
  nowhere.hidden = true;
  const failed = () => { ready(); nowhere.hidden = false; };
  navigator.geolocation.getCurrentPosition(async ({ coords }) => {
    const query = new URLSearchParams(new URL(location.href).search);
    query.set("lat", coords.latitude.toFixed(DIGITS));
    query.set("lon", coords.longitude.toFixed(DIGITS));
    try {
      await show(`/nearby?${query}`);
      ready();
    } catch {
      failed();
    }
  }, failed, PLACE);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("#found a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  show(link.href).catch(() => location.assign(link.href));
});

locate.addEventListener("click", ask);
locate.hidden = !navigator.geolocation || !isSecureContext;
draw();

// Who has allowed it before need not press.
if (!locate.hidden && !document.getElementById("found").dataset.lat) {
  navigator.permissions?.query({ name: "geolocation" }).then(({ state }) => { if (state === "granted") ask(); }).catch(() => {});
}
