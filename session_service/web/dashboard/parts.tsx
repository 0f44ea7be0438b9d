// What several pages are made of: times and money in words, something read and kept up to date, a reason asked for.
import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError, getTagged } from "./api";
import { age } from "./states";

export function moment(at: string | null): string {
  return at === null ? "never" : new Date(at).toLocaleString(undefined, { dateStyle: "short", timeStyle: "medium" });
}

// An amount of minor units, such as cents, with its currency; how many make one is the currency's own matter.
export function money(minor: number, currency: string): string {
  const format = new Intl.NumberFormat(undefined, { style: "currency", currency });
  return format.format(minor / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
}

export const message = (error: unknown): string =>
  error instanceof ApiError ? `${error.problem.title}. ${error.message}` : "The service cannot be reached. Try again in a moment.";

export interface Loaded<T> {
  value: T | null;
  from: string; // the path that the value was read from: for a moment after a change not the one that is asked for
  tag: string; // the version that an action on it carries
  fault: string;
  readMs: number;
  again: () => Promise<void>;
}

// Something of the API, read at once, again every so many milliseconds, and when `again` is called.
// What was read stays when a later reading fails; the page says so with `Fault`.
export function useLoaded<T>(path: string, everyMs = 0): Loaded<T> {
  const [state, set] = useState({ path: "", from: "", value: null as T | null, tag: "", fault: "", readMs: 0 });
  const wanted = useRef(path);
  wanted.current = path;
  const again = useCallback(async () => {
    try {
      const { value, tag } = await getTagged<T>(path);
      if (wanted.current === path) set({ path, from: path, value, tag, fault: "", readMs: Date.now() });
    } catch (error) {
      if (wanted.current === path) set((before) => ({ ...before, path, fault: message(error) }));
    }
  }, [path]);
  useEffect(() => {
    void again();
    if (everyMs === 0) return undefined;
    const timer = window.setInterval(() => void again(), everyMs);
    return () => window.clearInterval(timer);
  }, [again, everyMs]);
  return { ...state, again };
}

export function Fault({ of }: { of: Loaded<unknown> }) {
  if (of.fault === "") return null;
  const old = of.value === null ? "" : ` What is shown is ${age(Date.now() - of.readMs)} old.`;
  return <p class="fault" role="alert">{of.fault}{old}</p>;
}

interface Asking {
  word: string; // of the button
  act: (reason: string) => Promise<string>; // returns what to say of the outcome
  children?: ComponentChildren; // more fields
}

// A form that asks why, does it, and says what came of it. `act` may throw; the words of its problem are shown.
export function ReasonForm({ word, act, children }: Asking) {
  const [outcome, setOutcome] = useState("");
  const [busy, setBusy] = useState(false);
  async function send(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    setBusy(true);
    setOutcome("");
    try {
      setOutcome(await act(String(new FormData(form).get("reason")).trim()));
      form.reset();
    } catch (error) {
      setOutcome(message(error));
    }
    setBusy(false);
  }
  return (
    <form class="reason" onSubmit={(event) => void send(event)}>
      {children}
      <label>Reason<input name="reason" required minLength={3} maxLength={200} autocomplete="off" /></label>
      <button class="main" disabled={busy}>{word}</button>
      <p class="outcome" role="status">{outcome}</p>
    </form>
  );
}
