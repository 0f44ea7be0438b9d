// What needs a person on the spot, the costliest for riders first, and the way that a van takes through it.
import { useEffect, useRef, useState } from "preact/hooks";
import { useAlertsLoaded, useColleagues, type Colleagues } from "./alerts_live";
import { inWords, VISIT_KINDS } from "./alerts_words";
import { covers, type Me } from "./api";
import { choices } from "./filters";
import type { Fleet } from "./fleet";
import { go } from "./going";
import { Fault } from "./parts";
import { nameOf, VisitEntry, type Visit } from "./visits_entry";
import { RoutePlan } from "./visits_route";
import "./alerts.css";
import "./visits.css";

const SHOWN_AT_FIRST = 100;
const SHOWN_MOST = 500; // MAX_PAGE of session_service/visits/endpoints.py

// The address says which visits are looked at; "me" is whoever looks, so that each can be sent the same one.
const NAMES = ["site", "kind", "assignee", "by", "stops", "from"] as const;
type Wanted = Record<(typeof NAMES)[number], string>;

function wantedOf(search: string): Wanted {
  const said = new URLSearchParams(search);
  return Object.fromEntries(NAMES.map((name) => [name, said.get(name) ?? ""])) as Wanted;
}

function addressOf(wanted: Wanted): string {
  const said = new URLSearchParams(NAMES.flatMap((name) => (wanted[name] === "" ? [] : [[name, wanted[name]]])));
  return said.size === 0 ? "/ops/visits" : `/ops/visits?${said.toString()}`;
}

// The filters as the API knows them.
export function asked(wanted: Wanted, me: Me): URLSearchParams {
  const said = new URLSearchParams();
  for (const name of ["site", "kind"] as const) if (wanted[name] !== "") said.set(name, wanted[name]);
  if (wanted.assignee !== "") said.set("assignee", wanted.assignee === "me" ? me.operator_id : wanted.assignee);
  return said;
}

export function VisitsPage({ me, fleet, search }: { me: Me; fleet: Fleet; search: string }) {
  const wanted = wantedOf(search);
  const [limit, setLimit] = useState(SHOWN_AT_FIRST);
  const [said, say] = useState("");
  const people = useColleagues();
  const heading = useRef<HTMLHeadingElement>(null);
  const tell = (words: string): void => {
    say(words);
    if (words !== "") heading.current?.focus(); // the entry that had the focus is gone
  };
  const query = asked(wanted, me);
  query.set("limit", String(limit));
  const loaded = useAlertsLoaded<{ total: number; visits: Visit[] }>(`/v1/ops/visits?${query.toString()}`, fleet);
  const forms = useRef(new Map<string, string>()); // visits about which somebody writes, by id, with their names
  useEffect(() => {
    say("");
    forms.current.clear();
  }, [search]);
  useEffect(() => {
    const listed = new Set(loaded.value?.visits.map((visit) => visit.id));
    for (const [id, name] of forms.current) {
      if (listed.has(id)) continue;
      forms.current.delete(id);
      tell(`${name} is not in the queue any more: somebody has seen to it, or it mended itself.`);
    }
  }, [loaded.value]);
  const visits = loaded.value?.visits ?? [];
  const total = loaded.value?.total ?? 0;
  const chosen = new Set(wanted.stops.split(",").filter((id) => id !== ""));
  const change = (part: Partial<Wanted>): void => go(addressOf({ ...wanted, ...part }), { replace: true });
  function choose(id: string, on: boolean): void {
    const next = new Set(chosen);
    if (on) next.add(id);
    else next.delete(id);
    change({ stops: [...next].join(",") });
  }
  const line = (visit: Visit) => (
    <VisitEntry key={visit.id} visit={visit} me={me} people={people} chosen={chosen.has(visit.id)}
      mayAct={covers(me.role, "technician")} fleet={fleet}
      onChosen={(on) => choose(visit.id, on)} onDone={(words) => (tell(words), loaded.again())}
      onForm={(open) => void (open ? forms.current.set(visit.id, nameOf(visit, fleet)) : forms.current.delete(visit.id))} />
  );
  return (
    <main class="page visits">
      <h1 ref={heading} tabIndex={-1}>Needs a visit</h1>
      <VisitFilters wanted={wanted} sites={choices(fleet.lines.values()).sites} people={people} me={me} onChange={change} />
      <Fault of={loaded} />
      <p class="count" role="status">{loaded.value ? counted(total) : "Loading"}</p>
      <p class="outcome" role="status">{said}</p>
      <RoutePlan wanted={wanted} query={asked(wanted, me)} chosen={[...chosen]} visits={visits} fleet={fleet} onChange={change} />
      {wanted.by === "site"
        ? bySite(visits).map(({ site, of, points }) => (
          <details key={site} class="of-site" open>
            <summary>{site === "" ? "No site" : site}: {of.length} {of.length === 1 ? "visit" : "visits"}, {points} points</summary>
            <ol class="queue">{of.map(line)}</ol>
          </details>
        ))
        : <ol class="queue">{visits.map(line)}</ol>}
      {visits.length < total && limit < SHOWN_MOST && (
        <button type="button" onClick={() => setLimit(SHOWN_MOST)}>Show {Math.min(total, SHOWN_MOST) - visits.length} more</button>
      )}
      {total > SHOWN_MOST && <p>Only the costliest {SHOWN_MOST} are listed. Choose a site or a kind to see others.</p>}
    </main>
  );
}

const counted = (total: number): string =>
  total === 0 ? "Nothing needs a visit." : `${total} ${total === 1 ? "visit" : "visits"}, the costliest for riders first`;

interface OfSite {
  site: string;
  of: Visit[];
  points: number;
}

// The sites, that with the most points first; within each the order stays.
function bySite(visits: readonly Visit[]): OfSite[] {
  const sites = new Map<string, OfSite>();
  for (const visit of visits) {
    const found = sites.get(visit.site) ?? { site: visit.site, of: [], points: 0 };
    found.of.push(visit);
    found.points += visit.score;
    sites.set(visit.site, found);
  }
  return [...sites.values()].sort((a, b) => b.points - a.points);
}

interface Asking {
  wanted: Wanted;
  sites: string[];
  people: Colleagues;
  me: Me;
  onChange: (part: Partial<Wanted>) => void;
}

function VisitFilters({ wanted, sites, people, me, onChange }: Asking) {
  const active = [wanted.site, wanted.kind, wanted.assignee].some((one) => one !== "");
  const others = people.all.filter((one) => one.goes_there && one.operator_id !== me.operator_id);
  const known = sites.includes(wanted.site) || wanted.site === "" ? sites : [wanted.site, ...sites];
  return (
    <search class="filters">
      <label>
        Site
        <select value={wanted.site} onChange={(event) => onChange({ site: event.currentTarget.value })}>
          <option value="">All</option>
          {known.map((site) => <option key={site} value={site}>{site}</option>)}
        </select>
      </label>
      <label>
        What is wrong
        <select value={wanted.kind} onChange={(event) => onChange({ kind: event.currentTarget.value })}>
          <option value="">Anything</option>
          {VISIT_KINDS.map((kind) => <option key={kind} value={kind}>{inWords(kind)}</option>)}
        </select>
      </label>
      <label>
        Who goes there
        <select value={wanted.assignee} onChange={(event) => onChange({ assignee: event.currentTarget.value })}>
          <option value="">Anybody</option>
          <option value="me">I</option>
          <option value="nobody">Nobody yet</option>
          {others.map((one) => <option key={one.operator_id} value={one.operator_id}>{one.name}</option>)}
        </select>
      </label>
      <label>
        Grouped
        <select value={wanted.by} onChange={(event) => onChange({ by: event.currentTarget.value })}>
          <option value="">Not, the costliest first</option>
          <option value="site">By site</option>
        </select>
      </label>
      <button type="button" disabled={!active} onClick={() => onChange({ site: "", kind: "", assignee: "" })}>Clear</button>
    </search>
  );
}
