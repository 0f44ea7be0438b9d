// What needs a person on the spot, the costliest for riders first, and the way that a van takes through it.
import { useEffect, useState } from "preact/hooks";
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
const NAMES = ["site", "kind", "assignee", "stops", "from"] as const;
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
  const query = asked(wanted, me);
  query.set("limit", String(limit));
  const loaded = useAlertsLoaded<{ total: number; visits: Visit[] }>(`/v1/ops/visits?${query.toString()}`, fleet);
  useEffect(() => say(""), [search]);
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
  return (
    <main class="page visits">
      <h1>Needs a visit</h1>
      <VisitFilters wanted={wanted} sites={choices(fleet.lines.values()).sites} people={people} me={me} onChange={change} />
      <Fault of={loaded} />
      <p class="count" role="status">{loaded.value ? counted(total) : "Loading"}</p>
      <p class="outcome" role="status">{said}</p>
      <RoutePlan wanted={wanted} query={asked(wanted, me)} chosen={[...chosen]} visits={visits} fleet={fleet} onChange={change} />
      <ol class="queue">
        {visits.map((visit) => (
          <VisitEntry key={visit.id} visit={visit} me={me} people={people} chosen={chosen.has(visit.id)}
            mayAct={covers(me.role, "technician")} fleet={fleet}
            onChosen={(on) => choose(visit.id, on)} onDone={(words) => (say(words), loaded.again())}
            onGone={() => say(`${nameOf(visit, fleet)} is not in the queue any more: somebody has seen to it, or it mended itself.`)} />
        ))}
      </ol>
      {visits.length < total && limit < SHOWN_MOST && (
        <button type="button" onClick={() => setLimit(SHOWN_MOST)}>Show {Math.min(total, SHOWN_MOST) - visits.length} more</button>
      )}
      {total > SHOWN_MOST && <p>Only the costliest {SHOWN_MOST} are listed. Choose a site or a kind to see others.</p>}
    </main>
  );
}

const counted = (total: number): string =>
  total === 0 ? "Nothing needs a visit." : `${total} ${total === 1 ? "visit" : "visits"}, the costliest for riders first`;

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
      <button type="button" disabled={!active} onClick={() => onChange({ site: "", kind: "", assignee: "" })}>Clear</button>
    </search>
  );
}
