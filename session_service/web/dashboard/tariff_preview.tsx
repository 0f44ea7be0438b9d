// What rides of the last week cost, and would have cost under other terms.
import { money, moment } from "./parts";

interface Spread {
  p10: number;
  p50: number;
  p90: number;
  p100: number;
}

export interface Compared {
  currency: string;
  since: string | null;
  sessions: number;
  complete: boolean;
  free: number;
  charged_minor: number;
  would_minor: number;
  dearer: number;
  cheaper: number;
  charged: Spread;
  would: Spread;
  change: Spread;
}

const SHARES = [["p10", "One in ten costs at most"], ["p50", "Half cost at most"], ["p90", "Nine in ten cost at most"], ["p100", "The dearest"]] as const;

export function Preview({ found, kind }: { found: Compared; kind: string }) {
  const { currency } = found;
  const say = (minor: number): string => money(minor, currency);
  const signed = (minor: number): string => `${minor > 0 ? "+" : ""}${say(minor)}`;
  const paid = found.sessions - found.free;
  return (
    <div role="status" class="preview">
      <h3>The {paid.toLocaleString()} {kind} rides since {moment(found.since)} that were paid for</h3>
      {paid === 0 ? <p>There were none, so nothing can be said.</p> : (
        <>
          <p class="big">{say(found.charged_minor)} were charged; it would have been {say(found.would_minor)} ({signed(found.would_minor - found.charged_minor)}).</p>
          <p>▲ {found.dearer.toLocaleString()} rides dearer, ▼ {found.cheaper.toLocaleString()} cheaper, {(paid - found.dearer - found.cheaper).toLocaleString()} the same.</p>
          <table>
            <thead><tr><th scope="col">Of these rides</th><th scope="col" class="number">They cost</th><th scope="col" class="number">Would have</th></tr></thead>
            <tbody>
              {SHARES.map(([name, word]) => (
                <tr key={name}><th scope="row">{word}</th><td class="number">{say(found.charged[name])}</td><td class="number">{say(found.would[name])}</td></tr>
              ))}
            </tbody>
          </table>
        </>
      )}
      {found.free > 0 && <p>{found.free.toLocaleString()} more cost nothing, for other reasons than the price.</p>}
      {!found.complete && <p>⚠ There were more; these are the newest.</p>}
      <p class="small">Whoever would ride differently for another price does not show in this.</p>
    </div>
  );
}
