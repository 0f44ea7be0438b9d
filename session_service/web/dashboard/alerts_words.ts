// Kinds of alerts and how grave they are, in words and signs; the service's own table is session_service/alerts/kinds.py.
import { plain } from "./states";

export type Severity = "critical" | "major" | "minor" | "info";
export const SEVERITIES: readonly Severity[] = ["critical", "major", "minor", "info"];
export const SEVERITY_SIGN: Record<Severity, string> = { critical: "‼", major: "▲", minor: "△", info: "ⓘ" };

const WORDS: Record<string, string> = {
  occupied: "Somebody may still be inside",
  tampered: "It was opened by force",
  jammed: "The lock is jammed",
  label_wrong_device: "Its label opened another thing",
  label_two_places: "Its label was scanned in two places",
  label_far: "Its label is far from it",
  cloned_identity: "Two machines say that they are it",
  command_keys: "It obeys no key that we have",
  certificate_expired: "Its certificate has ended",
  certificate_expiring: "Its certificate ends soon",
  battery_low: "Its battery is nearly empty",
  battery_forecast: "Its battery will be empty soon",
  lock_unconfirmed: "Finished, and the lock did not confirm",
  past_cap: "A ride without an end",
  opened_after_end: "It opened after its session had ended",
  unlocked_after_release: "It opened after the rider was let off",
  another_one_opened: "A rider says that another one opened",
  did_not_open: "A rider says that it did not open",
  broken: "A rider says that it is broken",
  undone: "Opened and shut again at once",
  report_without_effect: "A report could not be used",
  site_down: "The whole site is silent",
  silent: "It gives no sign of life",
  cleaning_overdue: "It waits to be cleaned",
  held_too_long: "It waits for somebody to look",
  outbox_growing: "Its reports do not get through",
};

// Kinds that need somebody on the spot, the costliest first: session_service/visits/scoring.py.
export const VISIT_KINDS: readonly string[] = [
  "occupied", "tampered", "label_wrong_device", "label_two_places", "cloned_identity", "jammed", "label_far",
  "lock_unconfirmed", "past_cap", "opened_after_end", "unlocked_after_release", "battery_low", "battery_forecast", "site_down", "silent",
  "certificate_expired", "command_keys", "another_one_opened", "did_not_open", "broken", "undone", "held_too_long",
  "cleaning_overdue",
];
export const ALL_KINDS: readonly string[] = Object.keys(WORDS);

export const inWords = (kind: string): string => WORDS[kind] ?? plain(kind);

export interface Alert {
  id: string;
  version: number;
  device_id: string | null;
  number: number | null;
  site: string;
  kind: string;
  severity: Severity;
  why: string;
  detail: string;
  active: boolean;
  first_at: string | null;
  last_at: string | null;
  count: number;
  acknowledged_at: string | null;
  acknowledged_by: string | null;
  assignee: string | null;
  muted: boolean;
  muted_until: string | null;
  group_id: string | null;
  cleared_at: string | null;
  cleared_by: string | null;
}
