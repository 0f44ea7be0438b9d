// The camera in the page. Without it, or without this script, the page's forms do the same: a photograph, or the
// printed number. What people read stands in the page, in their language; this shows and hides it.

const LOOK_EVERY_MS = 120; // between looks at the film: a cheap phone takes 80 ms for one, and stays cool
const SHAKE_MS = 80;
const FOREIGN_SHOWN_MS = 4_000;
const PLACE = { enableHighAccuracy: true, timeout: 15_000, maximumAge: 30_000 };
const WANTED = { audio: false, video: { facingMode: { ideal: "environment" }, width: { ideal: 1280 }, height: { ideal: 720 } } };
const LABEL = /^\/L\/[0-9A-HJKMNP-TV-Z]{10}\/[0-9A-HJKMNP-TV-Z]{27}$/i;

const box = document.getElementById("camera");
const video = box.querySelector("video");
const torch = box.querySelector("[data-torch]");
const again = box.querySelector("[data-again]");
const said = document.getElementById("said");
let stream = null, run = 0, reading = null, leaving = false, foreign = 0;

/** Return the path of a label of ours, or null: nobody is taken to another site by a sticker. */
function ownPath(text) {
  let url;
  try { url = new URL(text.trim()); } catch { return null; }
  const ours = /^https?:$/.test(url.protocol) && url.host.toLowerCase() === box.dataset.host.toLowerCase();
  return ours && LABEL.test(url.pathname) ? url.pathname : null;
}

function show(name) {
  for (const help of document.querySelectorAll("[data-case]")) {
    help.hidden = help.dataset.case !== name;
    if (!help.hidden) said.textContent = help.textContent;
  }
}

function caseOf(error) {
  if (!isSecureContext || !navigator.mediaDevices) return "insecure";
  return { NotAllowedError: "refused", SecurityError: "refused", NotFoundError: "missing", OverconstrainedError: "missing",
    NotReadableError: "busy", AbortError: "busy" }[error.name] ?? "broken";
}

async function readerOnce() {
  const { reader, zxingScript: script, zxingWasm: wasm } = box.dataset;
  reading ??= import(reader).then((module) => module.reader({ script, wasm }));
  return reading;
}

async function start() {
  const mine = ++run;
  show(null);
  again.hidden = true;
  box.dataset.state = "starting";
  try {
    const [got, read] = await Promise.all([navigator.mediaDevices.getUserMedia(WANTED), readerOnce()]);
    if (mine !== run || document.hidden) { got.getTracks().forEach((track) => track.stop()); return; }
    stream = got;
    video.srcObject = stream;
    await video.play();
    offerTorch();
    box.dataset.state = "running";
    await look(read, mine);
  } catch (error) {
    if (mine !== run) return;
    stop();
    if (error.name !== "AbortError") reading = null;
    show(caseOf(error));
    again.hidden = false;
  }
}

async function look(read, mine) {
  for (let nth = 0; mine === run; nth += 1) {
    const texts = video.readyState >= video.HAVE_CURRENT_DATA ? await read.read(video, nth) : [];
    if (mine !== run) return;
    const path = texts.map(ownPath).find(Boolean);
    if (path) { found(path); return; }
    if (texts.length) { show("foreign"); foreign = performance.now(); }
    else if (foreign && performance.now() - foreign > FOREIGN_SHOWN_MS) { show(null); foreign = 0; }
    await new Promise((done) => setTimeout(done, LOOK_EVERY_MS));
  }
}

function found(path) {
  leaving = true;
  if (navigator.userActivation?.hasBeenActive ?? true) navigator.vibrate?.(SHAKE_MS); // else browsers refuse, and say so
  said.textContent = box.dataset.found;
  stop();
  box.dataset.state = "found";
  location.assign(path);
}

function stop() {
  run += 1;
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  video.srcObject = null;
  torch.hidden = true;
  box.dataset.state = "off";
}

function offerTorch() {
  const track = stream.getVideoTracks()[0];
  torch.hidden = !track?.getCapabilities?.().torch;
  torch.setAttribute("aria-pressed", "false");
}

torch.addEventListener("click", async () => {
  const on = torch.getAttribute("aria-pressed") !== "true";
  try {
    await stream.getVideoTracks()[0].applyConstraints({ advanced: [{ torch: on }] });
    torch.setAttribute("aria-pressed", String(on));
  } catch {
    torch.hidden = true;
  }
});

again.addEventListener("click", start);
addEventListener("pagehide", stop);
addEventListener("pageshow", (event) => { if (event.persisted) { leaving = false; start(); } });
document.addEventListener("visibilitychange", () => {
  if (document.hidden) stop();
  else if (!leaving && !stream) start();
});
document.addEventListener("shown", () => { if (!video.isConnected) stop(); });

const photo = document.querySelector("form[data-photo]");
photo.querySelector("input[type=file]").addEventListener("change", (event) => {
  if (!event.target.files.length) return;
  stop();
  leaving = true;
  photo.requestSubmit();
});

// A number is answered beside the thing only, so its form waits for the phone's position.
const number = document.querySelector("form[data-number]");
number.addEventListener("submit", (event) => {
  if (number.elements.lat.value) return;
  event.preventDefault();
  event.stopPropagation();
  const button = event.submitter ?? number.querySelector("button");
  button.disabled = true;
  button.classList.add("busy");
  const ready = () => { button.disabled = false; button.classList.remove("busy"); };
  if (!navigator.geolocation) { ready(); show("nowhere"); return; }
  navigator.geolocation.getCurrentPosition(({ coords }) => {
    number.elements.lat.value = coords.latitude;
    number.elements.lon.value = coords.longitude;
    number.elements.accuracy_m.value = coords.accuracy;
    ready();
    stop();
    leaving = true;
    number.requestSubmit(button);
  }, () => { ready(); show("nowhere"); }, PLACE);
});

start();
