// What is not settled: payments on which provider and ledger differ, money set aside for long, debts.
import { useState } from "preact/hooks";
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
      <div class="wide" role="region" aria-label="Payments on which the two differ" tabIndex={0}>
        <table>
          <thead><tr><th scope="col">Payment</th><th scope="col">Wallet</th><th scope="col">Told</th><th scope="col" class="number">Amount</th><th scope="col" class="number">Booked</th><th scope="col">Begun</th></tr></thead>
          <tbody>
            {found.astray.map((row) => (
              <tr key={row.id}>
                <th scope="row">{row.payment_id ?? row.id}</th>
                <td><Account id={`wallet:${row.rider_id}`} /></td>
                <td>{row.provider}: {row.status}</td>
                <td class="number">{money(row.amount_minor, found.currency)}</td>
                <td class="number">{money(row.booked_minor, found.currency)}</td>
                <td>{moment(row.created_at)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
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
        <div class="wide" role="region" aria-label="Open holds" tabIndex={0}>
          <table>
            <thead><tr><th scope="col">Session</th><th scope="col">Which is</th><th scope="col" class="number">Set aside</th><th scope="col">Open for</th><th scope="col">Wallet</th></tr></thead>
            <tbody>
              {found.rows.map((row) => (
                <tr key={row.hold_id}>
                  <th scope="row"><Session id={row.session_id} /></th>
                  <td>{row.session_state === null ? "not begun" : plain(row.session_state)}</td>
                  <td class="number">{money(row.amount_minor, found.currency)}</td>
                  <td>{age(row.age_s * 1000)}</td>
                  <td><Account id={row.account} /></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
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
          <div class="wide" role="region" aria-label="Debts by rider" tabIndex={0}>
            <table>
              <thead><tr><th scope="col">Account</th><th scope="col" class="number">Owed</th><th scope="col" class="number">In the wallet</th></tr></thead>
              <tbody>
                {found.rows.map((row) => (
                  <tr key={row.rider_id}>
                    <th scope="row"><Account id={row.account} /></th>
                    <td class="number">{money(row.debt_minor, found.currency)}</td>
                    <td class="number"><a href={accountPage(`wallet:${row.rider_id}`)}>{money(row.balance_minor, found.currency)}</a></td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
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
