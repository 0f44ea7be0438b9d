// What makes the pages quick and live. Every page and form works without it: state, words and money come from the
// server, and this asks for them again, sends forms without a reload, and counts seconds.

const PATIENCE_MS = 15_000; // of one try: the service waits for the lock itself
const RETRY_MS = [1_000, 2_000, 4_000, 8_000]; // the form's key makes it happen once, however often it arrives
const FIX_MS = 3_000; // a rider waits for the lock, not for satellites
const FIX_AGE_MS = 30_000;
const POLL_MS = 3_000; // where no stream is to be had, or no answer came
const QUIET_MS = 4_000; // a stream that breaks off is back within 3 s where there is a connection
const TICK_MS = 1_000;
const MAX_WAIT_MS = 2_147_000_000; // what a timer can hold (24 days); a longer one would end at once

const said = document.getElementById("said");
const tell = (text) => { said.textContent = text; };
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

let stream = null, poll = 0, step = 0, again = 0, quiet = 0, shown = performance.now(), asking = null;

async function ask(url, options = {}, tries = 0) {
  for (let n = 0; ; n += 1) {
    try {
      const response = await fetch(url, { ...options, signal: AbortSignal.timeout(PATIENCE_MS) });
      if (response.status < 500 || response.headers.has("Content-Language")) return response; // all pages of ours have that
      throw new Error(`${response.status} from somebody between`);
    } catch (error) {
      if (n >= tries) throw error;
      tell(said.dataset.noConnection);
      await pause(RETRY_MS[Math.min(n, RETRY_MS.length - 1)]);
    }
  }
}

async function show(response, push) {
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  const main = fresh.querySelector("main");
  if (!main) { location.assign(response.url); return; }
  const url = new URL(response.url);
  const ownPolicy = fresh.querySelectorAll("script[src]").length > 1 || fresh.querySelector("form[data-leaves]");
  if (ownPolicy && url.pathname !== location.pathname) {
    location.assign(url); // that page has a script of its own, or a form that leads to another site
    return;
  }
  const opened = [...document.querySelectorAll("details[open]")].map((details) => details.id);
  const focused = document.activeElement?.id;
  document.querySelector("main").replaceWith(document.adoptNode(main));
  document.title = fresh.title;
  if (push) {
    if (response.redirected && url.pathname !== location.pathname) history.pushState(null, "", url); // no form's address
    scrollTo(0, 0);
  }
  for (const id of opened) if (id) document.getElementById(id)?.setAttribute("open", "");
  if (focused) document.getElementById(focused)?.focus();
  if (push) { main.tabIndex = -1; main.focus({ preventScroll: true }); }
  tell(main.dataset.said ?? "");
  live();
}

async function refresh() {
  if (asking) return asking; // one at a time; what comes meanwhile is in its answer, or in the next
  const here = location.href;
  asking = ask(here, { headers: { Accept: "text/html" } })
    .then((response) => {
      if (response.status >= 500) throw new Error("what is on the screen is worth more");
      return location.href === here && show(response, false);
    })
    .catch(() => {
      old(true);
      clearTimeout(again);
      again = setTimeout(refresh, POLL_MS);
    })
    .finally(() => { asking = null; });
  return asking;
}

function old(is) {
  document.querySelector("#old")?.toggleAttribute("hidden", !is);
  if (is) tell(said.dataset.old);
}

// Where the phone is, for things that ask for it; unasked it is told only if the rider has allowed it before.
async function place(form) {
  if (!form.elements.lat || !navigator.geolocation) return;
  if (form.dataset.position !== "needed") {
    const permission = await navigator.permissions?.query({ name: "geolocation" }).catch(() => null);
    if (permission?.state !== "granted") return;
  }
  await new Promise((done) => {
    navigator.geolocation.getCurrentPosition(({ coords }) => {
      form.elements.lat.value = coords.latitude;
      form.elements.lon.value = coords.longitude;
      form.elements.accuracy_m.value = coords.accuracy;
      done();
    }, done, { enableHighAccuracy: true, timeout: FIX_MS, maximumAge: FIX_AGE_MS });
  });
}

async function send(form, button) {
  const text = button?.textContent;
  form.dataset.sent = "1";
  if (button) {
    button.disabled = true;
    button.classList.add("busy");
    if (button.dataset.busy) { button.textContent = button.dataset.busy; tell(button.dataset.busy); }
  }
  await place(form);
  const body = new URLSearchParams(new FormData(form));
  const headers = { Accept: "text/html", "X-Requested-With": "page" };
  try {
    await show(await ask(form.action, { method: "POST", body, headers }, Infinity), true);
  } catch {
    location.reload();
  } finally {
    delete form.dataset.sent;
    if (button?.isConnected) { button.disabled = false; button.classList.remove("busy"); button.textContent = text; }
  }
}

addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || form.enctype === "multipart/form-data" || "leaves" in form.dataset) return;
  event.preventDefault();
  if (!form.dataset.sent) send(form, event.submitter);
});

// A session is followed by its events; each says that the page is to be asked for again.
function live() {
  const { events, version } = document.querySelector("main").dataset;
  shown = performance.now();
  stream?.close();
  clearInterval(poll);
  for (const timer of [step, again, quiet]) clearTimeout(timer);
  quiet = 0;
  stream = null;
  if (!navigator.onLine) old(true); // what has just come was on its way when the network went
  if (events) {
    stream = new EventSource(events);
    stream.addEventListener("session", (event) => { if (Number(event.lastEventId) > Number(version)) refresh(); });
    stream.addEventListener("open", () => { clearTimeout(quiet); quiet = 0; old(false); });
    stream.addEventListener("error", () => {
      quiet ||= setTimeout(() => old(true), QUIET_MS);
      if (stream?.readyState !== EventSource.CLOSED) return;
      clearInterval(poll);
      poll = setInterval(refresh, POLL_MS);
    });
  }
  const refreshMs = Number(document.querySelector("main").dataset.refreshMs);
  if (refreshMs) step = setTimeout(() => { if (!document.hidden) refresh(); }, Math.min(Math.max(refreshMs, 500), MAX_WAIT_MS));
  later();
  document.dispatchEvent(new Event("shown"));
}

// What can wait comes when this view is there and the phone is idle: the service worker, and what else a page names. A
// label's page names nothing: its rider wants to ride.
function later() {
  const { later: extra } = document.querySelector("main").dataset;
  if (extra === undefined) return;
  if (document.readyState !== "complete") { addEventListener("load", later, { once: true }); return; }
  (globalThis.requestIdleCallback ?? setTimeout)(() => {
    navigator.serviceWorker?.register("/sw.js").catch(() => {}); // where cookies are refused, it is refused too
    if (extra) import(extra);
  });
}

// Clocks count from what the server said, by a clock that nobody can set wrong.
function tick() {
  const since = performance.now() - shown;
  for (const clock of document.querySelectorAll("[data-elapsed-ms]")) {
    clock.textContent = span(Number(clock.dataset.elapsedMs) + since * Number(clock.dataset.speed ?? 1));
  }
  for (const clock of document.querySelectorAll("[data-left-ms]")) {
    clock.textContent = span(Math.max(0, Number(clock.dataset.leftMs) - since * Number(clock.dataset.speed ?? 1)));
  }
}

function span(ms) {
  const s = Math.floor(ms / 1000), two = (n) => String(n).padStart(2, "0");
  return s < 3600 ? `${Math.floor(s / 60)}:${two(s % 60)}` : `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
}

addEventListener("online", refreshIfLive);
addEventListener("pageshow", (event) => { if (event.persisted) refresh(); });
addEventListener("popstate", refresh);
document.addEventListener("resume", refreshIfLive); // frozen before (Page Lifecycle)
document.addEventListener("stale", refresh); // says notify.js
document.addEventListener("visibilitychange", () => { if (!document.hidden) refreshIfLive(); });
addEventListener("offline", () => old(true));
setInterval(tick, TICK_MS);

function refreshIfLive() {
  const { events, refreshMs } = document.querySelector("main").dataset;
  if (events || refreshMs) refresh();
}

live();
tick();
