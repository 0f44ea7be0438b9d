// What is not settled: payments on which provider and ledger differ, money set aside for long, debts.
import { useState } from "preact/hooks";
import { Cards } from "./cards";
import { Account, accountPage, Amount, Choices, File, Session, useExactly, Waiting, type Figure } from "./money_parts";
import { query, type Days } from "./money_span";
import { Fault, money, moment } from "./parts";
import { age, plain } from "./states";

const AGES = [["3600", "1 hour"], ["86400", "1 day"], ["604800", "1 week"]] as const;
const LONG_S = "86400"; // no tariff of ours has longer sessions

interface TopUpsOf {
  currency: string;
  told: { provider: string; status: string; amount_minor: number; payments: number }[];
  booked: Figure;
  astray: { id: string; rider_id: string; provider: string; payment_id: string | null; status: string; amount_minor: number; booked_minor: number; created_at: string | null }[];
}

export function TopUps({ days }: { days: Days }) {
  const loaded = useExactly<TopUpsOf>(`/v1/ops/reports/top-ups?${query(days)}`);
  const found = loaded.value;
  return (
    <section aria-labelledby="top-ups">
      <h2 id="top-ups">Top-ups against the provider</h2>
      <Fault of={loaded} />
      {found === null ? <Waiting of={loaded} /> : (
        <>
          <table>
            <thead><tr><th scope="col">As told</th><th scope="col" class="number">Amount</th><th scope="col" class="number">Payments</th></tr></thead>
            <tbody>
              {found.told.map((row) => (
                <tr key={`${row.provider} ${row.status}`}>
                  <th scope="row">{row.provider}: {row.status}</th>
                  <td class="number">{money(row.amount_minor, found.currency)}</td>
                  <td class="number">{row.payments.toLocaleString()}</td>
                </tr>
              ))}
              <tr>
                <th scope="row">Booked in the ledger</th>
                <td class="number"><Amount figure={found.booked} currency={found.currency} opens={found.booked.postings > 0} /></td>
                <td class="number">{found.booked.postings.toLocaleString()}</td>
              </tr>
            </tbody>
          </table>
          {found.astray.length === 0 ? <p>● Provider and ledger agree on every payment that was begun in these days.</p> : <Astray found={found} />}
          <p class="small">Told counts payments by when they were begun, booked by when the money came: at midnight the two differ.</p>
        </>
      )}
      <p><File href={`/v1/ops/reports/top-ups.csv?${query(days)}`}>These top-ups as CSV</File></p>
    </section>
  );
}

function Astray({ found }: { found: TopUpsOf }) {
  return (
    <>
      <p class="fault" role="alert">⚠ On {found.astray.length} payments the two differ.</p>
      <Cards label="Payments on which the two differ" rows={found.astray} keyOf={(row) => row.id} columns={[
        { word: "Payment", names: true, of: (row) => row.payment_id ?? row.id },
        { word: "Wallet", of: (row) => <Account id={`wallet:${row.rider_id}`} /> },
        { word: "Told", of: (row) => `${row.provider}: ${row.status}` },
        { word: "Amount", look: "number", of: (row) => money(row.amount_minor, found.currency) },
        { word: "Booked", look: "number", of: (row) => money(row.booked_minor, found.currency) },
        { word: "Begun", of: (row) => moment(row.created_at) },
      ]} />
    </>
  );
}

interface HoldsOf {
  currency: string;
  rows: { hold_id: string; account: string; session_id: string; session_state: string | null; amount_minor: number; since: string | null; age_s: number }[];
  next_after: string | null;
}

export function Holds({ url }: { url: URL }) {
  const older = AGES.find(([seconds]) => seconds === url.searchParams.get("held"))?.[0] ?? LONG_S;
  const [after, setAfter] = useState("");
  const loaded = useExactly<HoldsOf>(`/v1/ops/reports/holds?older_than_s=${older}${after === "" ? "" : `&after=${after}`}`);
  const found = loaded.value;
  return (
    <section aria-labelledby="holds">
      <h2 id="holds">Holds open too long</h2>
      <Choices label="Open for longer than" url={url} name="held" held={older} all={AGES} />
      <Fault of={loaded} />
      {found === null ? <Waiting of={loaded} /> : found.rows.length === 0 ? <p>None is open for longer than that.</p> : (
        <Cards label="Open holds" rows={found.rows} keyOf={(row) => row.hold_id} columns={[
          { word: "Session", names: true, of: (row) => <Session id={row.session_id} /> },
          { word: "Which is", of: (row) => (row.session_state === null ? "not begun" : plain(row.session_state)) },
          { word: "Set aside", look: "number", of: (row) => money(row.amount_minor, found.currency) },
          { word: "Open for", of: (row) => age(row.age_s * 1000) },
          { word: "Wallet", of: (row) => <Account id={row.account} /> },
        ]} />
      )}
      <Next after={after} next={found?.next_after ?? null} go={setAfter} />
      <p><File href={`/v1/ops/reports/holds.csv?older_than_s=${older}`}>These holds as CSV</File></p>
    </section>
  );
}

interface DebtsOf {
  currency: string;
  total_minor: number;
  riders: number;
  rows: { rider_id: string; account: string; debt_minor: number; balance_minor: number }[];
  next_after: string | null;
}

export function Debts() {
  const [after, setAfter] = useState("");
  const loaded = useExactly<DebtsOf>(`/v1/ops/reports/debts${after === "" ? "" : `?after=${after}`}`);
  const found = loaded.value;
  return (
    <section aria-labelledby="debts">
      <h2 id="debts">Debts</h2>
      <Fault of={loaded} />
      {found === null ? <Waiting of={loaded} /> : found.riders === 0 ? <p>Nobody owes anything.</p> : (
        <>
          <p class="big">{found.riders === 1 ? "1 rider owes" : `${found.riders.toLocaleString()} riders owe`} {money(found.total_minor, found.currency)}</p>
          <Cards label="Debts by rider" rows={found.rows} keyOf={(row) => row.rider_id} columns={[
            { word: "Account", names: true, of: (row) => <Account id={row.account} /> },
            { word: "Owed", look: "number", of: (row) => money(row.debt_minor, found.currency) },
            { word: "In the wallet", look: "number", of: (row) => <a href={accountPage(`wallet:${row.rider_id}`)}>{money(row.balance_minor, found.currency)}</a> },
          ]} />
        </>
      )}
      <Next after={after} next={found?.next_after ?? null} go={setAfter} />
      <p><File href="/v1/ops/reports/debts.csv">All debts as CSV</File></p>
    </section>
  );
}

function Next({ after, next, go }: { after: string; next: string | null; go: (after: string) => void }) {
  if (after === "" && next === null) return null;
  return (
    <p class="pages">
      <button type="button" disabled={after === ""} onClick={() => go("")}>From the beginning</button>{" "}
      <button type="button" disabled={next === null} onClick={() => go(next ?? "")}>Next page</button>
    </p>
  );
}
