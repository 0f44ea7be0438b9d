// The service worker: it keeps the page that says "offline" and what that page needs, and nothing else. What is true of
// a lock, a ride or a wallet is never kept: every page comes from the network, or it is the one that says there is none.
//
// The service puts a line before this text when it sends it (app_files.py):
//   const KEPT = {name: "whose", version: "a digest of all that is kept", offline: "/offline", files: ["/static/..."]};
//
// The dashboard has one of its own (dashboard_pages.py), which keeps the dashboard's frame where this one keeps "offline".
/* global KEPT, addEventListener, caches, clients, registration, skipWaiting */
"use strict";

const OURS = `${KEPT.name}-`; // the other worker's caches are not ours to delete
const CACHE = OURS + KEPT.version;

addEventListener("install", (event) => event.waitUntil(keep().then(() => skipWaiting())));
addEventListener("activate", (event) => event.waitUntil(takeOver()));
addEventListener("notificationclick", (event) => event.waitUntil(open(event.notification)));
addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET") return; // a form goes its way alone, with the browser's word for where it comes from
  if (request.mode === "navigate") event.respondWith(fromNetwork(event));
  else if (KEPT.files.includes(new URL(request.url).pathname)) event.respondWith(fromCache(request));
});

async function keep() {
  const cache = await caches.open(CACHE);
  await cache.addAll([new Request(KEPT.offline, { cache: "no-store" }), ...KEPT.files]);
}

async function takeOver() {
  for (const name of await caches.keys()) if (name.startsWith(OURS) && name !== CACHE) await caches.delete(name);
  await registration.navigationPreload?.enable(); // a page's request does not wait until this script has begun
}

async function fromNetwork(event) {
  try {
    return (await event.preloadResponse) ?? (await fetch(event.request));
  } catch {
    return (await find(KEPT.offline)) ?? Response.error();
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
