// What each decision needs beside its reason: a time, how the rider agreed, an amount.
import { useState } from "preact/hooks";
import type { Choice, WholeCase } from "./case";
import { exactly } from "./case_evidence";
import { money } from "./parts";
import { plain } from "./states";

export const WORDS: Record<string, string> = {
  no_charge: "Close at no charge",
  close_at: "Close at a time",
  charge_after_release: "Charge as the rider agreed",
  write_off: "Write off",
  refund: "Refund",
};
const TIMED = ["close_at", "charge_after_release"];
const OTHER = "other";

export interface Wish {
  choice: string;
  reason: string;
  ended_at_ms?: number;
  amount_minor?: number;
  consent?: string;
}

const digits = (currency: string): number =>
  new Intl.NumberFormat(undefined, { style: "currency", currency }).resolvedOptions().maximumFractionDigits ?? 2;

export function wishFrom(choice: Choice, found: WholeCase, given: FormData): Wish {
  const text = (name: string): string => String(given.get(name) ?? "").trim();
  const wish: Wish = { choice: choice.choice, reason: text("reason") };
  if (TIMED.includes(choice.choice)) {
    const said = text("moment");
    wish.ended_at_ms = said === OTHER || said === "" ? new Date(text("time")).getTime() : Number(said);
  }
  if (choice.choice === "charge_after_release") wish.consent = text("consent");
  if (choice.most_minor !== null) wish.amount_minor = Math.round(Number(text("amount")) * 10 ** digits(found.session.currency));
  return wish;
}

export function Fields({ choice, found }: { choice: Choice; found: WholeCase }) {
  return (
    <>
      {TIMED.includes(choice.choice) && <Time found={found} />}
      {choice.choice === "charge_after_release" && (
        <label>How the rider agreed<input name="consent" required minLength={3} maxLength={400} autocomplete="off" /></label>
      )}
      {choice.most_minor !== null && <Amount most={choice.most_minor} currency={found.session.currency} />}
    </>
  );
}

// The moments that the case itself knows are offered first, to the millisecond; the newest is most often the right one.
function Time({ found }: { found: WholeCase }) {
  const startedMs = Date.parse(found.session.started_at ?? "");
  const known = found.moves.filter((move) => move.at !== null && Date.parse(move.at) >= startedMs);
  const proved = known.filter((move) => move.report_seq !== null || move.event === "finish_pressed").reverse();
  const [moment, setMoment] = useState(proved[0] ? String(Date.parse(proved[0].at ?? "")) : OTHER);
  return (
    <>
      <label>
        It ended at
        <select name="moment" value={moment} onChange={(event) => setMoment(event.currentTarget.value)}>
          {proved.map((move) => (
            <option key={move.seq} value={String(Date.parse(move.at ?? ""))}>{plain(move.event)}, {exactly(move.at)}</option>
          ))}
          <option value={OTHER}>Another time</option>
        </select>
      </label>
      {moment === OTHER && <label>Time<input name="time" type="datetime-local" step="1" required /></label>}
    </>
  );
}

function Amount({ most, currency }: { most: number; currency: string }) {
  const places = digits(currency);
  const major = (minor: number): string => (minor / 10 ** places).toFixed(places);
  return (
    <label>
      Amount in {currency}, at most {money(most, currency)}
      <input name="amount" type="number" required min={major(1)} max={major(most)} step={major(1)} defaultValue={major(most)} inputMode="decimal" />
    </label>
  );
}
