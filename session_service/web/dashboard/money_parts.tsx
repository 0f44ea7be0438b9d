// What the pages about money share: a form for days, choices that are links, figures with their postings.
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { money, useLoaded, type Loaded } from "./parts";
import { change, changed, daysOf, usualSpans, type Days } from "./money_span";

// As `useLoaded`, but nothing rather than what is true of another span: an amount under the wrong days misleads.
export function useExactly<T>(path: string): Loaded<T> {
  const loaded = useLoaded<T>(path);
  return loaded.from === path ? loaded : { ...loaded, value: null };
}

export function Waiting({ of }: { of: Loaded<unknown> }) {
  return of.value === null && of.fault === "" ? <p role="status">Loading</p> : null;
}

export interface Figure {
  key: string;
  amount_minor: number;
  postings: number;
  source: string;
}

// Fields of a form that say what the address says, whenever that changes, and otherwise what a person writes into them.
export function useSaid(said: Record<string, string>): { current: HTMLFormElement | null } {
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    for (const [name, value] of Object.entries(said)) {
      const field = form.current?.elements.namedItem(name);
      if (field instanceof HTMLInputElement) field.value = value;
    }
  }, Object.values(said));
  return form;
}

// A form for the first and the last day, and links to the spans that people ask for most.
export function SpanForm({ url, days, most }: { url: URL; days: Days; most?: number }) {
  const send = (event: SubmitEvent): void => {
    event.preventDefault();
    const said = new FormData(event.currentTarget as HTMLFormElement);
    change(url, { from: String(said.get("from")), to: String(said.get("to")), after: "" });
  };
  const form = useSaid({ from: days.first, to: days.last });
  const offered = usualSpans().filter(({ word }) => most === undefined || !word.startsWith("365"));
  return (
    <search class="span">
      <form ref={form} onSubmit={send}>
        <label>First day<input type="date" name="from" required /></label>
        <label>Last day<input type="date" name="to" required /></label>
        <button type="submit">Show</button>
      </form>
      <ul class="choices" aria-label="Usual spans">
        {offered.map(({ word, days: these }) => (
          <li key={word}>
            <a href={changed(url, { from: these.first, to: these.last, after: "" })} aria-current={same(these, days) ? "true" : "false"}>{word}</a>
          </li>
        ))}
      </ul>
    </search>
  );
}

const same = (a: Days, b: Days): boolean => a.first === b.first && a.last === b.last;

// Choices of which one holds, each with an address of its own.
export function Choices({ label, url, name, held, all }: { label: string; url: URL; name: string; held: string; all: readonly (readonly [string, string])[] }) {
  return (
    <ul class="choices" aria-label={label}>
      {all.map(([value, word]) => (
        <li key={value}><a href={changed(url, { [name]: value })} aria-current={value === held ? "true" : "false"}>{word}</a></li>
      ))}
    </ul>
  );
}

// Which of the choices the address says; the first, where it says none of them.
export const held = (url: URL, name: string, all: readonly (readonly [string, string])[]): string => {
  const said = url.searchParams.get(name);
  return all.find(([value]) => value === said)?.[0] ?? all[0]?.[0] ?? "";
};

// An amount that leads to its postings, for whoever may see them: they name riders' accounts.
export function Amount({ figure, currency, opens }: { figure: Figure; currency: string; opens: boolean }) {
  const said = money(figure.amount_minor, currency);
  return opens ? <a href={postingsPage(figure.source)}>{said}</a> : <>{said}</>;
}

// The page with the postings that a figure is the sum of; the API names them by the address of their list.
export const postingsPage = (source: string): string => `/ops/money/postings${source.slice(source.indexOf("?"))}`;

export function File({ href, children }: { href: string; children: ComponentChildren }) {
  return <a class="file" href={href} download>⤓ {children}</a>;
}

export const accountPage = (account: string): string => `/ops/money/accounts/${encodeURIComponent(account)}`;

export function Account({ id }: { id: string }) {
  return <a href={accountPage(id)}>{id}</a>;
}

export function Session({ id }: { id: string | null }) {
  return id === null ? <>–</> : <a href={`/ops/sessions/${id}`}>{id}</a>;
}

export const spanOf = (url: URL, days = 7): Days => daysOf(url.searchParams, days);
