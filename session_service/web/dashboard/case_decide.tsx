// What may be decided about a case: chosen, previewed in postings, and then done on the very version that was seen.
import { useState } from "preact/hooks";
import { ApiError, post } from "./api";
import type { Choice, Decided, WholeCase } from "./case";
import { Fields, wishFrom, WORDS, type Wish } from "./case_fields";
import { balances, Postings } from "./case_money";
import { message, ReasonForm } from "./parts";
import { LIVE } from "./sessions_parts";
import { plain } from "./states";

// How things stand, where a problem says so.
function asItIs(error: unknown): string {
  if (!(error instanceof ApiError) || error.status !== 412) return "";
  const { state, outcome } = error.problem as Partial<{ state: string; outcome: string | null }>;
  return state === undefined ? "" : ` It is ${plain(state)} now${outcome ? `, ${plain(outcome)}` : ""}.`;
}

// What a preview promises: all but the moment, which is that of the deed.
const effect = ({ postings, hold_ended, wallet, session }: Decided): string =>
  JSON.stringify([postings, hold_ended, wallet, session.state, session.outcome, session.fare_minor, session.paid_minor]);

interface Asked {
  id: string;
  found: WholeCase;
  tag: string;
  again: () => Promise<void>;
}

// A wish with what it would do, and the version of the case that was on the page when it was asked.
interface Preview {
  wish: Wish;
  shows: Decided;
  seen: string;
}

export function Decide({ id, found, tag, again }: Asked) {
  const [chosen, choose] = useState("");
  const [preview, setPreview] = useState<Preview | null>(null);
  const [done, setDone] = useState<{ word: string; made: Decided; same: boolean } | null>(null);
  const [fault, setFault] = useState("");
  const [busy, setBusy] = useState(false);
  const currency = found.session.currency;
  const choice = found.choices.find((one) => one.choice === chosen);

  async function tell(work: () => Promise<void>): Promise<void> {
    setBusy(true);
    setFault("");
    try {
      await work();
    } catch (error) {
      if (error instanceof ApiError && error.status === 412) setPreview(null); // whoever decided saw something else
      setFault(message(error) + asItIs(error));
      await again();
    }
    setBusy(false);
  }
  const look = (wish: Wish): Promise<void> =>
    tell(async () => {
      const seen = tag;
      setPreview({ wish, seen, shows: await post<Decided>(`/v1/ops/sessions/${id}/decisions/preview`, wish) });
    });
  const act = ({ wish, seen, shows }: Preview): Promise<void> =>
    tell(async () => {
      const made = await post<Decided>(`/v1/ops/sessions/${id}/decisions`, wish, { "If-Match": seen });
      setDone({ word: WORDS[wish.choice] ?? wish.choice, made, same: effect(made) === effect(shows) });
      setPreview(null);
      choose("");
      await again();
    });
  const live = LIVE.includes(found.session.state);
  if (found.choices.length === 0 && !live && preview === null && done === null && fault === "") return null;
  return (
    <section aria-labelledby="decide" class="decide">
      <h2 id="decide">{live ? "End it" : "Decide"}</h2>
      {live && <End id={id} tag={tag} again={again} />}
      <div class="deeds" role="group" aria-label="What may be decided">
        {found.choices.map((one) => (
          <button key={one.choice} type="button" aria-pressed={chosen === one.choice} disabled={busy}
            onClick={() => (setPreview(null), setFault(""), setDone(null), choose(chosen === one.choice ? "" : one.choice))}>
            {WORDS[one.choice] ?? plain(one.choice)}
          </button>
        ))}
      </div>
      {choice && preview === null && <Form key={chosen} choice={choice} found={found} busy={busy} onWish={look} />}
      {preview && (
        <div class="preview" role="group" aria-label="Preview">
          <h3>{WORDS[preview.wish.choice]}: this is what it would do</h3>
          <Effect shows={preview.shows} currency={currency} label="Postings it would make" />
          <p>Because: {preview.wish.reason}</p>
          <div class="deeds">
            <button type="button" class="main" disabled={busy} onClick={() => void act(preview)}>Do this now</button>
            <button type="button" disabled={busy} onClick={() => setPreview(null)}>Change it</button>
          </div>
        </div>
      )}
      <p class="fault" role="alert">{fault}</p>
      {done && (
        <div class="made">
          <p role="status"><strong>{done.word}: done{done.same ? ", as previewed" : ". It differs from the preview"}.</strong></p>
          <Effect shows={done.made} currency={currency} label="Postings made" />
        </div>
      )}
    </section>
  );
}

function Effect({ shows, currency, label }: { shows: Decided; currency: string; label: string }) {
  const { session } = shows;
  return (
    <>
      <p><strong>{label}</strong></p>
      <Postings postings={shows.postings} label={label} />
      <p>
        Session {plain(session.state)}{session.outcome ? `, ${plain(session.outcome)}` : ""}; hold {shows.hold_ended ?? "open"}; the rider's
        wallet then has {balances(shows.wallet, currency)}.
      </p>
    </>
  );
}

function Form({ choice, found, busy, onWish }: { choice: Choice; found: WholeCase; busy: boolean; onWish: (wish: Wish) => Promise<void> }) {
  function send(event: SubmitEvent): void {
    event.preventDefault();
    void onWish(wishFrom(choice, found, new FormData(event.currentTarget as HTMLFormElement)));
  }
  return (
    <form class="reason" onSubmit={send}>
      <Fields choice={choice} found={found} />
      <label>Reason<input name="reason" required minLength={3} maxLength={400} autocomplete="off" /></label>
      <button class="main" disabled={busy}>Preview</button>
    </form>
  );
}

// A session that runs is not decided; it can be ended, and the rider pays up to Finish or the last evidence.
function End({ id, tag, again }: { id: string; tag: string; again: () => Promise<void> }) {
  async function end(reason: string): Promise<string> {
    try {
      await post(`/v1/ops/sessions/${id}/end`, { reason }, { "If-Match": tag });
      return "Ended.";
    } finally {
      await again();
    }
  }
  return (
    <>
      <p>The rider pays up to Finish or the last evidence, whichever is first.</p>
      <ReasonForm word="End it now" act={end} />
    </>
  );
}
