// The dashboard: who is signed in, which page the address names, and the line at the top that says how fresh all is.
import { render } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { get, onSignedOut, signOut, type Me } from "./api";
import { Fleet } from "./fleet";
import { go } from "./going";
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

function App() {
  const [me, setMe] = useState<Me | null | undefined>(undefined);
  const address = useAddress();
  const fleet = useMemo(() => new Fleet(), []);
  useEffect(() => {
    fleet.ask();
    get<Me>("/v1/ops/sign-ins/current").then(setMe, () => setMe(null));
    return onSignedOut(() => setMe(null));
  }, []);
  useEffect(() => {
    if (!me) return undefined;
    fleet.open();
    return () => fleet.close();
  }, [me?.operator_id]);
  if (me === undefined) return <p class="wait" role="status">One moment</p>;
  if (me === null) return <SignIn onSignedIn={setMe} />;
  return (
    <div class="frame" onClick={follow}>
      <header>
        <a class="brand" href="/ops">Unlatch</a>
        <Pages me={me} path={address.pathname} />
        <Freshness fleet={fleet} />
        <p class="who">{me.name}, {me.role}</p>
        <button type="button" onClick={() => void signOut().finally(() => setMe(null))}>Sign out</button>
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
