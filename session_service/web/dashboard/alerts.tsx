// Alerts: what a person should see, how grave it is, who looks after it; and which notices were sent on about them.
import { useAlertsLoaded, useColleagues, type Colleagues } from "./alerts_live";
import { ALL_KINDS, inWords, SEVERITIES, SEVERITY_SIGN, type Alert } from "./alerts_words";
import { covers, type Me } from "./api";
import { choices } from "./filters";
import type { Fleet } from "./fleet";
import { go } from "./going";
import { Fault, moment } from "./parts";
import { age, plain } from "./states";
import "./alerts.css";

const A_PAGE = 50;

// The address: each as the API has it, but "me" for whoever looks. Without a word it is what lasts, a failed site one line.
const NAMES = ["state", "severity", "kind", "site", "assignee", "acknowledged", "muted", "device", "group", "before"] as const;
type Wanted = Record<(typeof NAMES)[number], string>;

function wantedOf(search: string): Wanted {
  const said = new URLSearchParams(search);
  return Object.fromEntries(NAMES.map((name) => [name, said.get(name) ?? ""])) as Wanted;
}

function addressOf(wanted: Wanted): string {
  const said = new URLSearchParams(NAMES.flatMap((name) => (wanted[name] === "" ? [] : [[name, wanted[name]]])));
  return said.size === 0 ? "/ops/alerts" : `/ops/alerts?${said.toString()}`;
}

function asked(wanted: Wanted, me: Me): string {
  const said = new URLSearchParams({ limit: String(A_PAGE), active: wanted.state === "cleared" ? "false" : "true" });
  for (const name of ["severity", "kind", "site", "acknowledged", "muted", "before"] as const) if (wanted[name] !== "") said.set(name, wanted[name]);
  if (wanted.assignee !== "") said.set("assignee", wanted.assignee === "me" ? me.operator_id : wanted.assignee);
  if (wanted.device !== "") said.set("device_id", wanted.device);
  if (wanted.group !== "") said.set("group_id", wanted.group);
  else if (wanted.device === "" && wanted.kind !== "silent") said.set("grouped", "false");
  return said.toString();
}

export function AlertsPage({ me, fleet, search }: { me: Me; fleet: Fleet; search: string }) {
  const wanted = wantedOf(search);
  const people = useColleagues();
  const loaded = useAlertsLoaded<{ alerts: Alert[]; next_before: string | null }>(`/v1/ops/alerts?${asked(wanted, me)}`, fleet);
  const alerts = loaded.value?.alerts ?? [];
  const next = loaded.value?.next_before ?? null;
  const change = (part: Partial<Wanted>): void => go(addressOf({ ...wanted, before: "", ...part }), { replace: true });
  return (
    <main class="page alerts-page">
      <h1>Alerts</h1>
      {covers(me.role, "technician") && <p><a href="/ops/notices">Where notices went</a></p>}
      <AlertFilters wanted={wanted} sites={choices(fleet.lines.values()).sites} people={people} me={me} onChange={change} />
      <Fault of={loaded} />
      <p class="count" role="status">{loaded.value ? counted(alerts.length, next !== null || wanted.before !== "") : "Loading"}</p>
      {wanted.group !== "" && <p>Those for which <a href={`/ops/alerts/${wanted.group}`}>one alert of their site</a> stands. <a href="/ops/alerts">All alerts</a></p>}
      {wanted.device !== "" && <p>Of one device alone. <a href="/ops/alerts">All alerts</a></p>}
      {alerts.length > 0 && <AlertTable alerts={alerts} fleet={fleet} people={people} />}
      <nav aria-label="More alerts" class="deeds">
        {wanted.before !== "" && <a href={addressOf({ ...wanted, before: "" })}>The newest</a>}
        {next !== null && <a href={addressOf({ ...wanted, before: next })}>Older ones</a>}
      </nav>
    </main>
  );
}

const counted = (count: number, paged: boolean): string =>
  count === 0 ? "There is none." : `${count} ${count === 1 ? "alert" : "alerts"}${paged ? " on this page" : ""}, the newest first`;

export const whereOf = (alert: Alert, fleet: Fleet): string =>
  alert.device_id === null ? `Site ${alert.site}` : `${fleet.ids.get(alert.device_id)?.kind ?? "device"} ${alert.number ?? ""}`;

export function Grave({ of }: { of: Alert }) {
  return <><span class={`severity ${of.severity}`} aria-hidden="true">{SEVERITY_SIGN[of.severity]}</span> {of.severity}</>;
}

export function AlertTable({ alerts, fleet, people }: { alerts: Alert[]; fleet: Fleet; people: Colleagues }) {
  return (
    <div class="scroller" tabIndex={0} role="region" aria-label="Alerts">
      <table>
        <thead><tr><th class="grave">How grave</th><th>What</th><th>Where</th><th>Since</th><th>How it stands</th><th>Who</th></tr></thead>
        <tbody>
          {alerts.map((one) => (
            <tr key={one.id}>
              <td class="grave"><Grave of={one} /></td>
              <td><a href={`/ops/alerts/${one.id}`}>{inWords(one.kind)}</a>{one.detail ? <span class="small"> {plain(one.detail)}</span> : null}</td>
              <td>
                {one.device_id === null ? whereOf(one, fleet) : <a href={`/ops/devices/${one.device_id}`}>{whereOf(one, fleet)}</a>}
                {one.device_id !== null && one.site !== "" && <span class="small"> {one.site}</span>}
                {one.device_id === null && <> <a href={`/ops/alerts?group=${one.id}`}>its devices</a></>}
              </td>
              <td>{one.first_at === null ? "" : `${age(fleet.now() - Date.parse(one.first_at))} ago`}{one.count > 1 ? <span class="small"> {one.count} times</span> : null}</td>
              <td class="stands">{standings(one).map((words, n) => <span key={words}>{n > 0 ? ", " : ""}<span>{words}</span></span>)}</td>
              <td class="whose">{one.assignee === null ? "nobody yet" : people.named(one.assignee)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export const standing = (one: Alert): string => standings(one).join(", ");

function standings(one: Alert): string[] {
  if (!one.active) return [`○ over since ${moment(one.cleared_at)}`];
  const words = [one.acknowledged_at === null ? "● not acknowledged" : "✓ acknowledged"];
  if (one.muted) words.push(one.muted_until === null ? "muted by maintenance" : `muted until ${moment(one.muted_until)}`);
  return words;
}

interface Asking {
  wanted: Wanted;
  sites: string[];
  people: Colleagues;
  me: Me;
  onChange: (part: Partial<Wanted>) => void;
}

function AlertFilters({ wanted, sites, people, me, onChange }: Asking) {
  const pick = (name: keyof Wanted, word: string, every: string, options: [string, string][]) => (
    <label>
      {word}
      <select value={wanted[name]} onChange={(event) => onChange({ [name]: event.currentTarget.value })}>
        <option value="">{every}</option>
        {options.map(([value, said]) => <option key={value} value={value}>{said}</option>)}
      </select>
    </label>
  );
  const active = (["state", "severity", "kind", "site", "assignee", "acknowledged", "muted"] as const).filter((name) => wanted[name] !== "");
  const others = people.all.filter((one) => one.goes_there && one.operator_id !== me.operator_id);
  const known = sites.includes(wanted.site) || wanted.site === "" ? sites : [wanted.site, ...sites];
  return (
    <search class="filters">
      <details open={matchMedia("(min-width: 900px)").matches}>
        <summary>Filters{active.length > 0 ? ` (${active.length})` : ""}</summary>
        <div class="picks">
          {pick("state", "State", "Active", [["cleared", "Over"]])}
          {pick("severity", "How grave", "Any", SEVERITIES.map((one) => [one, one]))}
          {pick("kind", "What", "Anything", ALL_KINDS.map((one) => [one, inWords(one)]))}
          {pick("site", "Site", "All", known.map((one) => [one, one]))}
          {pick("assignee", "Who", "Anybody", [["me", "I"], ["nobody", "Nobody yet"], ...others.map((one): [string, string] => [one.operator_id, one.name])])}
          {pick("acknowledged", "Acknowledged", "Or not", [["true", "Acknowledged"], ["false", "Not acknowledged"]])}
          {pick("muted", "Muted", "Or not", [["true", "Muted"], ["false", "Not muted"]])}
          <button type="button" disabled={active.length === 0} onClick={() => onChange(wantedOf(""))}>Clear</button>
        </div>
      </details>
    </search>
  );
}
