// The page that says "offline": as soon as the phone reaches us again, the page that was asked for comes.

const AGAIN_MS = 5_000; // "online" means that there is a network, not that we are reached through it

async function again() {
  try {
    if ((await fetch("/healthz", { cache: "no-store" })).ok) location.reload();
  } catch {
    // not yet
  }
}

addEventListener("online", again);
setInterval(again, AGAIN_MS);
document.querySelector("[data-again]").addEventListener("click", (event) => {
  event.preventDefault();
  location.reload();
});
