// What a line means to people: its state in words, with a sign and a colour of its own.
import type { Line } from "./fleet";

export type State = "ready" | "in_use" | "cleaning" | "held" | "maintenance" | "revoked" | "silent" | "never";
export const STATES: readonly State[] = [
  "ready", "in_use", "cleaning", "held", "maintenance", "revoked", "silent", "never",
];

// The sign goes before the word and on the map, because colour alone says nothing to one man in twelve.
export const LOOK: Record<State, { word: string; sign: string }> = {
  ready: { word: "Ready", sign: "●" },
  in_use: { word: "In use", sign: "■" },
  cleaning: { word: "Cleaning", sign: "◇" },
  held: { word: "Held", sign: "▲" },
  maintenance: { word: "Maintenance", sign: "◆" },
  revoked: { word: "Revoked", sign: "✕" },
  silent: { word: "Silent", sign: "○" },
  never: { word: "Never heard", sign: "○" },
};

export function stateOf(line: Line, nowMs: number, staleMs: number): State {
  if (line.service === "revoked" || line.service === "maintenance") return line.service;
  if (line.seen === null) return "never";
  if (nowMs - line.seen > staleMs) return "silent";
  if (line.session !== null) return "in_use";
  return line.service as State;
}

export function age(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 90) return `${s} s`;
  if (s < 5_400) return `${Math.round(s / 60)} min`;
  if (s < 129_600) return `${Math.round(s / 3_600)} h`;
  return `${Math.round(s / 86_400)} d`;
}

export const plain = (word: string): string => word.replaceAll("_", " ");
