// The postings that a figure is the sum of, page by page, and what happened on one account.
import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "./api";
import { Cards, type Column } from "./cards";
import { Export } from "./money_export";
import { Account, Session, useExactly, Waiting } from "./money_parts";
import { daysOf, length, named } from "./money_span";
import { Fault, message, money, moment } from "./parts";
import { plain } from "./states";
import "./money.css";

const PAGE = 200; // rows that are asked for at once
const WORDS: Record<string, string> = {
  takings: "Takings", refunds: "Refunds for sessions", write_offs: "Write-offs", top_ups: "Top-ups as booked",
  payouts: "Taken out of wallets", payouts_failed: "Payouts that came back", forfeits: "Given up with an account",
};

interface Posting {
  at: string | null;
  transfer_id: string;
  leg: number;
  kind: string;
  session_id: string | null;
  debit_account: string;
  credit_account: string;
  amount_minor: number;
  currency: string;
}

const POSTED: readonly Column<Posting>[] = [
  { word: "At", of: (row) => moment(row.at) },
  { word: "Amount", look: "number", of: (row) => money(row.amount_minor, row.currency) },
  { word: "From", of: (row) => <Account id={row.debit_account} /> },
  { word: "To", of: (row) => <Account id={row.credit_account} /> },
  { word: "Session", of: (row) => <Session id={row.session_id} /> },
  { word: "Kind", of: (row) => plain(row.kind) },
  { word: "Transfer", look: "id", of: (row) => row.transfer_id },
];

interface PostingsPageOf {
  rows: Posting[];
  next_after: string | null;
  total: { currency: string; amount_minor: number; postings: number } | null;
}

export function PostingsPage({ url }: { url: URL }) {
  const said = url.searchParams;
  const days = daysOf(said);
  const what = said.get("what") ?? "takings";
  const asked = new URLSearchParams({ what, from: days.first, to: days.last });
  const only = ["kind", "site"].flatMap((name) => (said.has(name) ? [[name, said.get(name) ?? ""] as const] : []));
  for (const [name, value] of only) asked.set(name, value);
  const said_of = only.map(([name, value]) => `${name === "site" ? "place" : name} ${value === "" ? "none" : value}`).join(", ");
  return (
    <main class="page money">
      <p class="back"><a href={`/ops/money?from=${days.first}&to=${days.last}`}>Money</a></p>
      <h1>{WORDS[what] ?? plain(what)}, {named(days)}{said_of === "" ? "" : `, ${said_of}`}</h1>
      <Postings key={asked.toString()} asked={asked.toString()} />
      <Export path={`/v1/ops/reports/postings.csv?${asked}`} days={length(days)} name={`${what}-${days.first}-to-${days.last}`} />
    </main>
  );
}

function Postings({ asked }: { asked: string }) {
  const first = useExactly<PostingsPageOf>(`/v1/ops/reports/postings?${asked}&limit=${PAGE}&total=true`);
  const [more, setMore] = useState<{ rows: Posting[]; next: string | null }>({ rows: [], next: null });
  const [fault, setFault] = useState("");
  const table = useRef<HTMLDivElement>(null);
  useEffect(() => setMore({ rows: [], next: first.value?.next_after ?? null }), [first.value]);
  async function load(): Promise<void> {
    try {
      const page = await get<PostingsPageOf>(`/v1/ops/reports/postings?${asked}&limit=${PAGE}&after=${more.next}`);
      setMore((before) => ({ rows: [...before.rows, ...page.rows], next: page.next_after }));
      setFault("");
      table.current?.focus();
    } catch (error) {
      setFault(message(error));
    }
  }
  const { value } = first;
  const rows = [...(value?.rows ?? []), ...more.rows];
  return (
    <section aria-labelledby="postings">
      <h2 id="postings">Postings</h2>
      <Fault of={first} />
      {value === null ? <Waiting of={first} /> : (
        <>
          {value.total !== null && (
            <p class="big" id="sum">Together {money(value.total.amount_minor, value.total.currency)} in {value.total.postings.toLocaleString()} postings</p>
          )}
          <Cards label="Postings, in order of time" look="postings" rows={rows} columns={POSTED} keyOf={(row) => `${row.transfer_id} ${row.leg}`} box={table} />
          <p role="status">{rows.length.toLocaleString()} shown{more.next === null ? ", and that is all" : ""}.</p>
          {more.next !== null && <button type="button" onClick={() => void load()}>Show {PAGE} more</button>}
          <p class="fault" role="alert">{fault}</p>
        </>
      )}
    </section>
  );
}

interface Entry {
  transfer_id: string;
  key: string;
  kind: string;
  session_id: string | null;
  at: string | null;
  other: string;
  amount_minor: number;
}

interface Statement {
  id: string;
  kind: string;
  currency: string;
  balance_minor: number;
  entries: Entry[];
}

const entered = (currency: string): Column<Entry>[] => [
  { word: "At", of: (one) => moment(one.at) },
  { word: "In or out", look: "number", of: (one) => `${one.amount_minor > 0 ? "+" : ""}${money(one.amount_minor, currency)}` },
  { word: "Other account", of: (one) => <Account id={one.other} /> },
  { word: "Session", of: (one) => <Session id={one.session_id} /> },
  { word: "Kind", of: (one) => plain(one.kind) },
  { word: "Transfer", look: "id", of: (one) => one.transfer_id },
];

export function AccountPage({ id }: { id: string }) {
  const loaded = useExactly<Statement>(`/v1/ops/ledger/accounts/${encodeURIComponent(id)}`);
  const found = loaded.value;
  return (
    <main class="page money">
      <p class="back"><a href="/ops/money">Money</a></p>
      <h1>Account {id}</h1>
      <section aria-labelledby="entries">
        <h2 id="entries">Postings, the newest first</h2>
        <Fault of={loaded} />
        {found === null ? <Waiting of={loaded} /> : (
          <>
            <p class="big">Balance {money(found.balance_minor, found.currency)}</p>
            <Cards label="Postings of this account" rows={found.entries} columns={entered(found.currency)} keyOf={(one) => `${one.transfer_id} ${one.other}`} />
            <p class="small">At most the 200 newest.</p>
          </>
        )}
      </section>
    </main>
  );
}
