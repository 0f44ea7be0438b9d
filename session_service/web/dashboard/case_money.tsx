// A session's money: hold, fare, what was given back, and, for who decides, every posting and the wallet.
import { isWhole, type Balances, type Case, type Posting } from "./case";
import { accountPage } from "./money_parts";
import { money } from "./parts";
import { plain } from "./states";

export function MoneyOf({ found }: { found: Case }) {
  const { receipt, session } = found;
  const of = (minor: number): string => money(minor, receipt.currency);
  const facts: [string, string][] = [
    ["Hold", `${of(receipt.hold.amount_minor)}, ${receipt.hold.ended ?? "open"}`],
    ["Fare", session.ended_at === null ? "not known yet" : of(receipt.fare_minor)],
    ["Paid", of(receipt.paid_minor)],
    ["Owed", of(receipt.owed_minor)],
    ["Given back", of(receipt.refunded_minor)],
  ];
  return (
    <section aria-labelledby="money">
      <h2 id="money">Money</h2>
      <dl>{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
      {receipt.lines.length > 0 && (
        <>
          <h3>Receipt</h3>
          <table class="sessions" aria-label="Receipt">
            <thead><tr><th scope="col">What</th><th scope="col" class="number">Number</th><th scope="col" class="number">Amount</th></tr></thead>
            <tbody>
              {receipt.lines.map((line) => (
                <tr key={line.what}><td>{plain(line.what)}</td><td class="number">{line.quantity}</td><td class="number">{of(line.amount_minor)}</td></tr>
              ))}
            </tbody>
          </table>
        </>
      )}
      {isWhole(found) && (
        <>
          <h3>Postings</h3>
          <Postings postings={found.postings} label="Postings" />
          <h3>The rider's wallet now</h3>
          <p>{balances(found.wallet, receipt.currency)}</p>
        </>
      )}
    </section>
  );
}

export const balances = (wallet: Balances, currency: string): string =>
  `${money(wallet.balance_minor, currency)} in it, ${money(wallet.held_minor, currency)} of that held, ${money(wallet.debt_minor, currency)} owed`;

export function Postings({ postings, label }: { postings: Posting[]; label: string }) {
  if (postings.length === 0) return <p>None.</p>;
  return (
    <div class="wide">
      <table class="sessions" aria-label={label}>
        <thead><tr><th scope="col">What</th><th scope="col">From</th><th scope="col">To</th><th scope="col" class="number">Amount</th></tr></thead>
        <tbody>
          {postings.map((one, n) => (
            <tr key={n}>
              <td>{plain(one.kind)}</td><td><Account id={one.debit_account} /></td><td><Account id={one.credit_account} /></td>
              <td class="number">{money(one.amount_minor, one.currency)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const Account = ({ id }: { id: string }) => <a class="account" href={accountPage(id)}>{id}</a>;
