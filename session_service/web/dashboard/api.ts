// The service's API as the page uses it. The token is in a cookie that no script reads (session_service/credentials.py).

export interface Problem {
  type: string;
  title: string;
  status: number;
  detail?: string;
  [extra: string]: unknown; // such as how things stand now
}

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem,
  ) {
    super(problem.detail ?? problem.title);
  }
}

export type Role = "viewer" | "technician" | "operator" | "admin";
const RANKS: readonly Role[] = ["viewer", "technician", "operator", "admin"];

export interface Me {
  operator_id: string;
  name: string;
  role: Role;
}

export const covers = (role: Role, needed: Role): boolean => RANKS.indexOf(role) >= RANKS.indexOf(needed);

export interface Device {
  device_id: string;
  number: number;
  kind: string;
  site: string;
  service: string;
  service_reason: string;
  service_since: string | null;
  presence: string;
  seen_at: string | null;
  age_s: number | null;
  boot_id: string | null;
  bolt: string;
  door_shut: boolean | null;
  occupied: boolean | null;
  battery_percent: number | null;
  lat: number | null;
  lon: number | null;
  outbox_depth: number;
  config_revision: number;
  config_wanted: number;
  agent_version: string;
  session_id: string | null;
  alerts: { kind: string; detail: string; opened_at: string | null }[];
}

export interface Command {
  id: string;
  action: string;
  state: string;
  reason: string | null;
  asked_by: string;
  approved_by: string | null;
  why: string;
  created_at: string | null;
  published_at: string | null;
  accepted_at: string | null;
  ended_at: string | null;
}

export interface Label {
  label_id: string;
  generation: number;
  minted_at: string;
  printed_at: string | null;
  mounted_at: string | null;
  suspended_at: string | null;
  suspended_reason: string;
  revoked_at: string | null;
  revoked_reason: string;
}

const listeners = new Set<() => void>();

// Told when an answer says that nobody is signed in any more.
export function onSignedOut(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export async function get<T>(path: string): Promise<T> {
  return answered<T>(await fetch(path, { headers: { Accept: "application/json" } }));
}

// With the version of what was read, which an action on it has to carry.
export async function getTagged<T>(path: string): Promise<{ value: T; tag: string }> {
  const response = await fetch(path, { headers: { Accept: "application/json" } });
  return { tag: response.headers.get("ETag") ?? "", value: await answered<T>(response) };
}

// A key of 24 random characters: a request that is repeated after a lost answer happens once.
export function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export async function post<T>(path: string, body: unknown, headers: Record<string, string> = {}): Promise<T> {
  return answered<T>(await sentOnce(path, body, headers));
}

// What is answered with a file: a sheet of labels, say.
export async function postForFile(path: string, body: unknown): Promise<Blob> {
  const response = await sentOnce(path, body, {});
  return response.ok ? response.blob() : answered<Blob>(response);
}

async function sentOnce(path: string, body: unknown, headers: Record<string, string>): Promise<Response> {
  const sent = {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json", "Idempotency-Key": newKey(), ...headers },
    body: JSON.stringify(body),
  };
  try {
    return await fetch(path, sent);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return fetch(path, sent); // the network dropped it: once more, under the same key
  }
}

export async function remove(path: string): Promise<void> {
  await answered<undefined>(await fetch(path, { method: "DELETE", headers: { Accept: "application/json", "X-Requested-With": "dashboard" } }));
}

export async function signOut(): Promise<void> {
  await fetch("/v1/ops/sign-ins/current", { method: "DELETE", headers: { "X-Requested-With": "dashboard" } });
}

async function answered<T>(response: Response): Promise<T> {
  if (response.status === 204) return undefined as T;
  if (response.ok) return (await response.json()) as T;
  const problem = await response
    .json()
    .catch(() => ({ type: "", title: `The service answered ${response.status}`, status: response.status }));
  if (response.status === 401 && !response.url.endsWith("/sign-ins")) for (const told of listeners) told();
  throw new ApiError(response.status, problem as Problem);
}
