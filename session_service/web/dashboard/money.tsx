// Money: what was taken, given back, paid in, set aside and is owed; every figure leads to its postings.
import { useState } from "preact/hooks";
import { covers, type Me } from "./api";
import { Chart } from "./chart";
import { Amount, Choices, File, SpanForm, spanOf, useExactly, Waiting, type Figure } from "./money_parts";
import { Debts, Holds, TopUps } from "./money_open";
import { eachDay, length, named, query, type Days } from "./money_span";
import { Fault, money } from "./parts";
import { plain } from "./states";
import "./money.css";

const BARS_MAX = 40; // places beside one another that can still be told apart; the table has all of them
const SHOWN = 31; // rows of the table; more are a button away
const WAYS = [["day", "Day"], ["kind", "Kind"], ["site", "Place"]] as const;

interface Takings {
  currency: string;
  by: string;
  total: Figure;
  rows: Figure[];
}

export function MoneyPage({ me, url }: { me: Me; url: URL }) {
  const days = spanOf(url);
  const opens = covers(me.role, "operator");
  return (
    <main class="page money">
      <h1>Money</h1>
      <SpanForm url={url} days={days} />
      <TakingsOf url={url} days={days} opens={opens} />
      <Refunds days={days} opens={opens} />
      {opens && <TopUps days={days} />}
      {opens && <Holds url={url} />}
      {opens && <Debts />}
    </main>
  );
}

function TakingsOf({ url, days, opens }: { url: URL; days: Days; opens: boolean }) {
  const asked = url.searchParams.get("by") ?? "day";
  const by = WAYS.some(([way]) => way === asked) ? asked : "day";
  const loaded = useExactly<Takings>(`/v1/ops/reports/takings?${query(days)}&by=${by}`);
  const found = loaded.value;
  return (
    <section aria-labelledby="takings">
      <h2 id="takings">Takings</h2>
      <Choices label="Takings by" url={url} name="by" held={by} all={WAYS} />
      <Fault of={loaded} />
      {found === null ? <Waiting of={loaded} /> : <Split found={found} days={days} opens={opens} />}
      <p><File href={`/v1/ops/reports/takings.csv?${query(days)}&by=${by}`}>These takings as CSV</File></p>
    </section>
  );
}

const nameOf = (key: string): string => (key === "" ? "no place" : key);

function Split({ found, days, opens }: { found: Takings; days: Days; opens: boolean }) {
  const { currency, by, total } = found;
  const [all, setAll] = useState(false);
  const rows = by === "day" ? found.rows : [...found.rows].sort((a, b) => b.amount_minor - a.amount_minor);
  const byKey = new Map(rows.map((row) => [row.key, row.amount_minor]));
  const keys = by === "day" && rows.length > 0 ? eachDay(days) : rows.slice(0, BARS_MAX).map(({ key }) => key);
  const word = WAYS.find(([way]) => way === by)?.[1] ?? "Day";
  return (
    <>
      <p class="big" id="taken">Charged for sessions, {named(days)}: <Amount figure={total} currency={currency} opens={opens} /> in {total.postings.toLocaleString()} postings</p>
      {rows.length === 0 ? <p>Nothing was charged in these {length(days)} days.</p> : (
        <>
          <Chart title={`Takings by ${word.toLowerCase()}`} unit={currency} kind="bars" times={keys.map(nameOf)} table={false}
            series={[{ name: "Takings", values: keys.map((key) => byKey.get(key) ?? 0) }]} say={(minor) => money(minor, currency)} />
          <div class="wide" role="region" aria-label="Takings as a table" tabIndex={0}>
            <table class="takings">
              <thead><tr><th scope="col">{word}</th><th scope="col" class="number">Taken</th><th scope="col" class="number">Postings</th></tr></thead>
              <tbody>
                {(all ? rows : rows.slice(0, SHOWN)).map((row) => (
                  <tr key={row.key}>
                    <th scope="row">{nameOf(row.key)}</th>
                    <td class="number"><Amount figure={row} currency={currency} opens={opens} /></td>
                    <td class="number">{row.postings.toLocaleString()}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          {rows.length > SHOWN && <button type="button" onClick={() => setAll(!all)}>{all ? `The first ${SHOWN}` : `All ${rows.length}`}</button>}
        </>
      )}
    </>
  );
}

const BACK: Record<string, string> = {
  refunds: "Refunded for sessions", write_offs: "Written off", payouts: "Taken out of wallets by riders",
  payouts_failed: "Of that, came back because the provider could not pay",
};

function Refunds({ days, opens }: { days: Days; opens: boolean }) {
  const loaded = useExactly<{ currency: string; rows: Figure[] }>(`/v1/ops/reports/refunds?${query(days)}`);
  const found = loaded.value;
  return (
    <section aria-labelledby="refunds">
      <h2 id="refunds">Given back</h2>
      <Fault of={loaded} />
      {found === null ? <Waiting of={loaded} /> : (
        <table>
          <thead><tr><th scope="col">What</th><th scope="col" class="number">Amount</th><th scope="col" class="number">Postings</th></tr></thead>
          <tbody>
            {found.rows.map((row) => (
              <tr key={row.key}>
                <th scope="row">{BACK[row.key] ?? plain(row.key)}</th>
                <td class="number"><Amount figure={row} currency={found.currency} opens={opens && row.postings > 0} /></td>
                <td class="number">{row.postings.toLocaleString()}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
