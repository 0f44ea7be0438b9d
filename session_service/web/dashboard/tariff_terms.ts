// The terms of a tariff as the API has them, and as a person writes them into a form: money in the currency's own unit.

export interface Terms {
  unlock_fee_minor: number;
  interval_s: number;
  interval_price_minor: number;
  free_s: number;
  cap_minor: number;
  cap_window_s: number;
  max_session_s: number;
  grace_s: number;
  hold_minor: number;
}

export interface Tariff {
  id: string;
  kind: string;
  in_force_from: string | null;
  in_force_from_ms: number;
  in_force: boolean;
  price: Terms & { currency: string };
}

export interface Field {
  name: keyof Terms;
  word: string;
  unit: "money" | "min" | "h" | "s";
  least: number;
}

export const FIELDS: readonly Field[] = [
  { name: "unlock_fee_minor", word: "To unlock", unit: "money", least: 0 },
  { name: "interval_price_minor", word: "Price of an interval", unit: "money", least: 0 },
  { name: "interval_s", word: "An interval has", unit: "min", least: 1 },
  { name: "free_s", word: "Free at the beginning", unit: "min", least: 0 },
  { name: "cap_minor", word: "At most, in a window", unit: "money", least: 0 },
  { name: "cap_window_s", word: "A window has", unit: "h", least: 0 },
  { name: "max_session_s", word: "Longest session", unit: "h", least: 0 },
  { name: "grace_s", word: "Undone for nothing within", unit: "s", least: 0 },
  { name: "hold_minor", word: "Set aside at Start", unit: "money", least: 1 },
];

const SECONDS: Record<Field["unit"], number> = { money: 1, s: 1, min: 60, h: 3_600 };

const digits = (currency: string): number =>
  new Intl.NumberFormat(undefined, { style: "currency", currency }).resolvedOptions().maximumFractionDigits ?? 2;

const scale = (field: Field, currency: string): number => (field.unit === "money" ? 10 ** digits(currency) : SECONDS[field.unit]);

export const unitOf = (field: Field, currency: string): string => (field.unit === "money" ? currency : field.unit);

// What stands in a field, in its unit; and back, in whole minor units or seconds. NaN is what is no number.
export const written = (field: Field, terms: Terms, currency: string): string => String(terms[field.name] / scale(field, currency));
export const read = (field: Field, text: string, currency: string): number => (text.trim() === "" ? NaN : Math.round(Number(text) * scale(field, currency)));

export const step = (field: Field, currency: string): string => (field.unit === "money" ? String(1 / scale(field, currency)) : "any");
export const least = (field: Field, currency: string): string => String(field.least / scale(field, currency));
