// Tariffs: those in force, to come and gone, and an editor that shows what last week's rides would have cost.
import { useState } from "preact/hooks";
import { ApiError, covers, getTagged, post, type Me } from "./api";
import { Preview, type Compared } from "./tariff_preview";
import { FIELDS, least, read, step, unitOf, written, type Tariff, type Terms } from "./tariff_terms";
import { Fault, message, money, moment, ReasonForm, useLoaded } from "./parts";
import "./money.css";
import "./tariffs.css";

const KINDS = ["bike", "pod"] as const;
const MINUTE_S = 60;

interface AllTariffs {
  version: string;
  tariffs: Tariff[];
}

export function TariffsPage({ me, url }: { me: Me; url: URL }) {
  const loaded = useLoaded<AllTariffs>("/v1/ops/tariffs");
  const asked = url.searchParams.get("kind") ?? "";
  const kind = KINDS.find((one) => one === asked) ?? "bike";
  const found = loaded.value;
  return (
    <main class="page tariffs">
      <h1>Tariffs</h1>
      <Fault of={loaded} />
      {found === null && loaded.fault === "" && <p role="status">Loading</p>}
      {found !== null && KINDS.map((one) => <OfKind key={one} kind={one} tariffs={found.tariffs.filter((tariff) => tariff.kind === one)} />)}
      {found !== null && covers(me.role, "operator") && (
        <Editor key={kind} kind={kind} tariffs={found.tariffs} tag={loaded.tag} me={me} again={loaded.again} />
      )}
    </main>
  );
}

function inWords({ price }: Tariff): string {
  const { currency } = price;
  const parts = [`${money(price.unlock_fee_minor, currency)} to unlock`, `${money(price.interval_price_minor, currency)} for each ${span(price.interval_s)} begun`];
  if (price.free_s > 0) parts.push(`the first ${span(price.free_s)} free`);
  parts.push(`at most ${money(price.cap_minor, currency)} in ${span(price.cap_window_s)}`, `${money(price.hold_minor, currency)} set aside at Start`);
  return `${parts.join(", ")}.`;
}

const span = (seconds: number): string =>
  seconds % 3_600 === 0 ? `${seconds / 3_600} h` : seconds % MINUTE_S === 0 ? `${seconds / MINUTE_S} min` : `${seconds} s`;

const begins = (tariff: Tariff): string => (tariff.in_force_from_ms === 0 ? "the beginning" : moment(tariff.in_force_from));

function OfKind({ kind, tariffs }: { kind: string; tariffs: Tariff[] }) {
  const present = tariffs.find(({ in_force: now }) => now);
  const at = present?.in_force_from_ms ?? 0;
  const coming = tariffs.filter((one) => one.in_force_from_ms > at);
  const gone = tariffs.filter((one) => one.in_force_from_ms < at).reverse();
  return (
    <section aria-labelledby={`of-${kind}`}>
      <h2 id={`of-${kind}`}>{kind === "bike" ? "Bikes" : "Pods"}</h2>
      {present ? <p><strong>● In force</strong> since {begins(present)}: {inWords(present)}</p> : <p class="fault">⚠ None is in force: nobody can start.</p>}
      {coming.map((one) => <p key={one.id}><strong>→ To come</strong> from {begins(one)}: {inWords(one)}</p>)}
      {gone.length > 0 && (
        <details>
          <summary>{gone.length === 1 ? "1 that was" : `${gone.length} that were`} in force before</summary>
          {gone.map((one) => <p key={one.id}>From {begins(one)}: {inWords(one)}</p>)}
        </details>
      )}
      <p><a href={`/ops/tariffs?kind=${kind}`}>Change the price of {kind}s</a></p>
    </section>
  );
}

interface Editing {
  kind: string;
  tariffs: Tariff[];
  tag: string;
  me: Me;
  again: () => Promise<void>;
}

function Editor({ kind, tariffs, tag, me, again }: Editing) {
  const present = tariffs.find((one) => one.kind === kind && one.in_force) ?? tariffs.find((one) => one.kind === kind);
  const currency = present?.price.currency ?? "EUR";
  const [texts, setTexts] = useState<Record<string, string>>(() =>
    Object.fromEntries(FIELDS.map((field) => [field.name, present ? written(field, present.price, currency) : ""])));
  const [compared, setCompared] = useState<Compared | null>(null);
  const [fault, setFault] = useState("");
  const [busy, setBusy] = useState(false);
  const terms = Object.fromEntries(FIELDS.map((field) => [field.name, read(field, texts[field.name] ?? "", currency)])) as unknown as Terms;

  function write(name: string, text: string): void {
    setTexts((before) => ({ ...before, [name]: text }));
    setCompared(null); // it was about other terms
  }
  async function preview(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    setFault("");
    try {
      setCompared(await post<Compared>("/v1/ops/tariffs/preview", { kind, terms }));
    } catch (error) {
      setFault(message(error));
    }
    setBusy(false);
  }
  return (
    <section aria-labelledby="editor">
      <h2 id="editor">Another price for {kind}s</h2>
      <ul class="choices" aria-label="Kind">
        {KINDS.map((one) => <li key={one}><a href={`/ops/tariffs?kind=${one}`} aria-current={one === kind ? "true" : "false"}>{one}s</a></li>)}
      </ul>
      <form class="terms" onSubmit={(event) => void preview(event)}>
        {FIELDS.map((field) => (
          <label key={field.name}>
            {field.word} ({unitOf(field, currency)})
            <input type="number" inputMode="decimal" required min={least(field, currency)} step={step(field, currency)} value={texts[field.name]}
              onInput={(event) => write(field.name, event.currentTarget.value)} />
          </label>
        ))}
        <button class="main" disabled={busy}>Try it on last week's rides</button>
      </form>
      <p class="fault" role="alert">{fault}</p>
      {compared !== null && <Preview found={compared} kind={kind} />}
      {compared !== null && covers(me.role, "admin") && <Setting kind={kind} terms={terms} tag={tag} again={again} />}
    </section>
  );
}

// What everybody pays from a moment on; it carries the version of the tariffs that were on the page.
function Setting({ kind, terms, tag, again }: { kind: string; terms: Terms; tag: string; again: () => Promise<void> }) {
  const [from, setFrom] = useState("");
  async function set(reason: string): Promise<string> {
    const moment_ms = from === "" ? {} : { in_force_from_ms: new Date(from).getTime() };
    try {
      await post("/v1/ops/tariffs", { kind, terms, reason, ...moment_ms }, { "If-Match": tag });
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 412) throw error;
      const { value } = await getTagged<AllTariffs>("/v1/ops/tariffs");
      await again();
      return `${message(error)} There are ${value.tariffs.length} now; they are shown above. Look, and set yours again if it is still right.`;
    }
    await again();
    return `Set: it holds for ${kind}s that are started from ${from === "" ? "now" : moment(new Date(from).toISOString())} on.`;
  }
  return (
    <>
      <h3>Set it</h3>
      <ReasonForm word={`Set this price for ${kind}s`} act={set}>
        <label>From (empty: from now on)<input type="datetime-local" value={from} onInput={(event) => setFrom(event.currentTarget.value)} /></label>
      </ReasonForm>
    </>
  );
}
