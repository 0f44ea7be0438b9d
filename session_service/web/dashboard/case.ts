// A case as the API has it: all that is known of a session, its money, and what may be decided.
import type { Command } from "./api";
import type { Session } from "./sessions_parts";

export interface Place {
  lat: number;
  lon: number;
}

export interface Move {
  seq: number;
  event: string;
  from_state: string;
  to_state: string;
  actor: string;
  at: string | null;
  recorded_at: string | null;
  journal_id: string | null;
  report_seq: number | null;
}

export interface Report {
  journal_id: string;
  seq: number;
  kind: string;
  command_id: string | null;
  at: string | null;
  received_at: string | null;
  key_id: string | null;
  is_signed: boolean;
}

export interface CaseAlert {
  kind: string;
  detail: string;
  opened_at: string | null;
  cleared_at: string | null;
}

export interface Receipt {
  outcome: string | null;
  duration_s: number;
  currency: string;
  lines: { what: string; quantity: number; amount_minor: number }[];
  fare_minor: number;
  paid_minor: number;
  debt_minor: number;
  owed_minor: number;
  refunded_minor: number;
  hold: { amount_minor: number; ended: string | null };
}

export interface Evidenced {
  session: Session;
  receipt: Receipt;
  start: Place | null;
  end: Place | null;
  moves: Move[];
  commands: Command[];
  reports: Report[];
  alerts: CaseAlert[];
}

export interface Posting {
  kind: string;
  debit_account: string;
  credit_account: string;
  amount_minor: number;
  currency: string;
}

export interface Balances {
  balance_minor: number;
  held_minor: number;
  debt_minor: number;
}

export interface Choice {
  choice: string;
  most_minor: number | null;
}

export interface Money {
  version: string;
  choices: Choice[];
  wallet: Balances;
  charged_minor: number;
  given_back_minor: number;
  postings: Posting[];
}

// Who only looks has no part of the money: session_service/access.py.
export type Case = Evidenced & Partial<Money>;
export type WholeCase = Evidenced & Money;

// What a decision does, in a preview and when it has been done.
export interface Decided {
  version: string;
  session: Session;
  postings: Posting[];
  hold_ended: string | null;
  wallet: Balances;
}

export const isWhole = (found: Case): found is WholeCase => found.version !== undefined;
export const reportAnchor = (journal: string, seq: number): string => `report-${journal}-${seq}`;
