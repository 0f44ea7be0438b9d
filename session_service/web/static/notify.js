// Notifications of a ride: before the price goes up, and when it has ended while nobody looked. They are asked for by a
// button alone, made on this phone, and no other service hears of them. Where a browser has none, there is no button.
//
// What to say, and how long to wait for it, stands in the page (templates/notify.html). It comes anew with every view.

const MAX_WAIT_MS = 2_147_000_000; // what a timer can hold (24 days)
const LATER_MS = 1_000; // than a step, so that the page that is asked for then is past it
const TAG = "ride"; // a newer notification takes the place of the one before

let timer = 0, planned = "", told = "", wasRunning = false;

const part = () => document.querySelector("[data-notify]");
const able = () => "Notification" in globalThis && "serviceWorker" in navigator;

function plan() {
  clearTimeout(timer);
  const shown = part();
  if (!shown || !able()) return;
  offer(shown);
  const running = "running" in shown.dataset;
  if (wasRunning && !running && document.hidden) notify(shown.dataset.endTitle, shown.dataset.end);
  wasRunning = running;
  const { step, tellInMs, stepInMs, stepTitle, stepText } = shown.dataset;
  if (tellInMs >= 0) planned = step; // a page that is opened later says it by itself
  if (!step || step !== planned || step === told || tellInMs > MAX_WAIT_MS) return;
  timer = setTimeout(() => {
    told = step;
    notify(stepTitle, stepText);
    timer = setTimeout(next, stepInMs - Math.max(tellInMs, 0) + LATER_MS);
  }, Math.max(tellInMs, 0)); // below 0: the phone slept over it
}

// While nobody looks, the page is not asked for again at a step; but the step after it is to be told of too.
function next() {
  if (document.hidden) document.dispatchEvent(new Event("stale"));
}

async function notify(title, body) {
  if (Notification.permission !== "granted") return;
  const registration = await navigator.serviceWorker.getRegistration();
  const lang = document.documentElement.lang, data = { path: location.pathname };
  await registration?.showNotification(title, { body, tag: TAG, renotify: true, icon: part()?.dataset.icon, lang, data });
}

// The button is there as long as there is something to ask for.
function offer(shown) {
  shown.hidden = Notification.permission !== "default" || !("running" in shown.dataset);
  shown.querySelector("button").onclick = async () => {
    const answer = await Notification.requestPermission();
    shown.hidden = answer !== "default";
    if (answer === "granted") await navigator.serviceWorker.register("/sw.js"); // it is what shows them
  };
}

document.addEventListener("shown", plan);
plan();
