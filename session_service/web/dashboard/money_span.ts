// The days that a page is about, as its address has them: the first and the last included, at most 400.
import { go } from "./going";

export interface Days {
  first: string; // 2026-11-22, in the city's time
  last: string;
}

const DAY_MS = 86_400_000;
const DAY = /^\d{4}-\d{2}-\d{2}$/;

export const today = (): Date => new Date();
export const iso = (day: Date): string => `${day.getFullYear()}-${two(day.getMonth() + 1)}-${two(day.getDate())}`;
const two = (part: number): string => String(part).padStart(2, "0");

export function daysOf(said: URLSearchParams, days = 7): Days {
  const [first, last] = [said.get("from") ?? "", said.get("to") ?? ""];
  return DAY.test(first) && DAY.test(last) ? { first, last } : lastDays(days);
}

export function lastDays(days: number): Days {
  const now = today();
  return { first: iso(new Date(now.getFullYear(), now.getMonth(), now.getDate() - days + 1)), last: iso(now) };
}

// The spans that people ask for most.
export function usualSpans(): { word: string; days: Days }[] {
  const now = today();
  const month = (offset: number): Date => new Date(now.getFullYear(), now.getMonth() + offset, 1);
  return [
    { word: "Today", days: lastDays(1) },
    { word: "7 days", days: lastDays(7) },
    { word: "This month", days: { first: iso(month(0)), last: iso(now) } },
    { word: "Last month", days: { first: iso(month(-1)), last: iso(new Date(month(0).getTime() - DAY_MS / 2)) } },
    { word: "365 days", days: lastDays(365) },
  ];
}

export const query = ({ first, last }: Days): string => `from=${first}&to=${last}`;
export const named = ({ first, last }: Days): string => (first === last ? first : `${first} to ${last}`);

// Every day from the first to the last, for a chart in which days without anything have their place.
export function eachDay({ first, last }: Days): string[] {
  const found: string[] = [];
  for (let at = Date.parse(`${first}T12:00Z`); at <= Date.parse(`${last}T12:00Z`); at += DAY_MS)
    found.push(new Date(at).toISOString().slice(0, 10));
  return found;
}

export const length = (days: Days): number => eachDay(days).length;

// The page's address with some of it changed; what is empty is left out.
export function changed(url: URL, parts: Record<string, string>): string {
  const said = new URLSearchParams(url.search);
  for (const [name, value] of Object.entries(parts)) {
    if (value === "") said.delete(name);
    else said.set(name, value);
  }
  const text = said.toString();
  return url.pathname + (text === "" ? "" : `?${text}`);
}

export const change = (url: URL, parts: Record<string, string>): void => go(changed(url, parts), { replace: true });
