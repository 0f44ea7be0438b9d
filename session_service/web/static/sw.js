// The service worker: it keeps the page that says "offline" and what that page needs, and nothing else. What is true of
// a lock, a ride or a wallet is never kept: every page comes from the network, or it is the one that says there is none.
//
// The service puts a line before this text when it sends it (app_files.py):
//   const KEPT = {name: "whose", version: "a digest of all that is kept", offline: "/offline", files: ["/static/..."],
//                 pages: ["/path", ...], later: ["/static/..."]};
//
// The dashboard has one of its own (dashboard_pages.py), which keeps the dashboard's frame where this one keeps "offline",
// its scanner's page beside it, because that has rights of its own, and the scanner itself once it has been used.
/* global KEPT, addEventListener, caches, clients, location, registration, skipWaiting */
"use strict";

const OURS = `${KEPT.name}-`; // the other worker's caches are not ours to delete
const CACHE = OURS + KEPT.version;

addEventListener("install", (event) => event.waitUntil(keep().then(() => skipWaiting())));
addEventListener("activate", (event) => event.waitUntil(takeOver()));
addEventListener("notificationclick", (event) => event.waitUntil(open(event.notification)));
addEventListener("message", (event) => event.data === "keep later" && event.waitUntil(keepLater()));
addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET") return; // a form goes its way alone, with the browser's word for where it comes from
  if (request.mode === "navigate") event.respondWith(fromNetwork(event));
  else if ([...KEPT.files, ...KEPT.later].includes(new URL(request.url).pathname)) event.respondWith(fromCache(request));
});

async function keep() {
  const cache = await caches.open(CACHE);
  const pages = [KEPT.offline, ...KEPT.pages].map((path) => new Request(path, { cache: "no-store" }));
  await cache.addAll([...pages, ...KEPT.files]);
  if (await hadLater()) await keepLater().catch(() => {}); // it is kept again when it is used again
}

// What is large and not everybody's: kept from when a page says that it is in use, and then in each release.
async function keepLater() {
  const cache = await caches.open(CACHE);
  const kept = await Promise.all(KEPT.later.map((address) => cache.match(address)));
  await cache.addAll(KEPT.later.filter((_, n) => !kept[n]));
}

async function hadLater() {
  const last = (address) => new URL(address, location).pathname.split("/").pop(); // its hash may be another one
  const names = KEPT.later.map(last);
  for (const name of (await caches.keys()).filter((one) => one.startsWith(OURS))) {
    for (const { url } of await (await caches.open(name)).keys()) if (names.includes(last(url))) return true;
  }
  return false;
}

async function takeOver() {
  for (const name of await caches.keys()) if (name.startsWith(OURS) && name !== CACHE) await caches.delete(name);
  await registration.navigationPreload?.enable(); // a page's request does not wait until this script has begun
}

async function fromNetwork(event) {
  try {
    return (await event.preloadResponse) ?? (await fetch(event.request));
  } catch {
    const { pathname } = new URL(event.request.url);
    return (await find(KEPT.pages.includes(pathname) ? pathname : KEPT.offline)) ?? Response.error();
  }
}

async function fromCache(request) {
  return (await find(request)) ?? fetch(request);
}

function find(request) {
  return caches.match(request, { cacheName: CACHE, ignoreVary: true });
}

async function open(notification) {
  notification.close();
  const address = new URL(notification.data?.path ?? "/", registration.scope).href;
  for (const client of await clients.matchAll({ type: "window" })) {
    if (client.url === address) return client.focus();
  }
  return clients.openWindow(address);
}
