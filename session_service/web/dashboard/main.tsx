// The dashboard: who is signed in, which page the address names, and the line at the top that says how fresh all is.
import { render } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { ApiError, get, onSignedOut, signOut, type Me } from "./api";
import { Fleet } from "./fleet";
import { go } from "./going";
import { forget, keepFleet, keepFor, lastFleet, lastSignedIn, startWorker } from "./offline";
import { pageAt, Pages } from "./pages";
import { SignIn } from "./sign_in";
import { age } from "./states";
import "leaflet/dist/leaflet.css";
import "./style.css";

function useAddress(): URL {
  const [address, set] = useState(() => new URL(window.location.href));
  useEffect(() => {
    const moved = (): void => set(new URL(window.location.href));
    window.addEventListener("popstate", moved);
    return () => window.removeEventListener("popstate", moved);
  }, []);
  return address;
}

// Links within the dashboard need no new page; all others, and those opened in another tab, are the browser's.
function follow(event: MouseEvent): void {
  const link = (event.target as Element).closest("a");
  if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
  if (link.origin !== window.location.origin || !link.pathname.startsWith("/ops") || link.hasAttribute("download")) return;
  if (link.hash !== "") return; // a place on the page that is shown
  if (link.pathname === "/ops/scan") return; // a page of its own, which may compile the reader: dashboard_pages.py
  event.preventDefault();
  go(link.pathname + link.search);
}

function Freshness({ fleet }: { fleet: Fleet }) {
  const [, beat] = useState(0);
  useEffect(() => {
    const timer = window.setInterval(() => beat((n) => n + 1), 1000);
    return () => window.clearInterval(timer);
  }, []);
  const { ageMs, lost } = fleet.streamAge();
  if (!fleet.ready) return <p class="fresh" role="status">Loading the fleet</p>;
  return (
    <p class={lost ? "fresh lost" : "fresh"}>
      <span role="status">{lost ? "⚠ Connection lost, trying again" : "● Live"}</span>
      <span>, {age(ageMs)} old</span>
    </p>
  );
}

const RECALLED_AFTER_MS = 1_000; // the service has answered by then, if it can be reached
const WORKER_AFTER_MS = 2_000; // it fetches the page's files anew, and has time
const LOOKED_EVERY_MS = 2_000; // the first time as soon as there is something to keep
const KEEP_EVERY_MS = 30_000; // the fleet, for when the network is gone: 10,000 devices take 30 ms

// Keep the fleet now and then, and show what was kept until the service answers.
function useKept(me: Me | null | undefined, fleet: Fleet): void {
  useEffect(() => {
    if (!me) return undefined;
    const recall = window.setTimeout(() => !fleet.ready && void lastFleet().then((kept) => kept && fleet.restore(kept)), RECALLED_AFTER_MS);
    let keptMs = 0;
    const keep = (): void => {
      const kept = fleet.streamAge().lost || Date.now() - keptMs < KEEP_EVERY_MS ? null : fleet.kept();
      if (!kept) return;
      keptMs = Date.now();
      void keepFleet(kept);
    };
    const timer = window.setInterval(keep, LOOKED_EVERY_MS);
    return () => {
      window.clearTimeout(recall);
      window.clearInterval(timer);
    };
  }, [me?.operator_id]);
}

// Who is signed in; without a network, who was.
async function whoIsThere(): Promise<Me | null> {
  try {
    const me = await get<Me>("/v1/ops/sign-ins/current");
    void keepFor(me);
    return me;
  } catch (error) {
    if (error instanceof ApiError && error.status < 500) return forget().then(() => null);
    return lastSignedIn();
  }
}

function App() {
  const [me, setMe] = useState<Me | null | undefined>(undefined);
  const address = useAddress();
  const fleet = useMemo(() => new Fleet(), []);
  useEffect(() => {
    fleet.ask();
    window.setTimeout(startWorker, WORKER_AFTER_MS);
    void whoIsThere().then(setMe);
    return onSignedOut(() => void forget().then(() => setMe(null)));
  }, []);
  useKept(me, fleet);
  useEffect(() => {
    if (!me) return undefined;
    fleet.open();
    return () => fleet.close();
  }, [me?.operator_id]);
  if (me === undefined) return <p class="wait" role="status">One moment</p>;
  if (me === null) return <SignIn onSignedIn={(found) => (void keepFor(found), setMe(found))} />;
  return (
    <div class="frame" onClick={follow}>
      <header>
        <a class="brand" href="/ops">Unlatch</a>
        <Pages me={me} path={address.pathname} />
        <Freshness fleet={fleet} />
        <p class="who">{me.name}, {me.role}</p>
        <button type="button" onClick={() => void signOut().finally(() => forget().then(() => window.location.assign("/ops")))}>Sign out</button>
      </header>
      {pageAt({ me, fleet, url: address })}
    </div>
  );
}

const place = document.getElementById("dashboard");
if (place) {
  place.textContent = "";
  render(<App />, place);
}
