// Labels on paper: a PDF of the newest label in force of each device, made by the service, saved by the browser.
import { ApiError, post, postForFile } from "./api";

export type Paper = "a4" | "letter";
export const PAPERS: readonly [Paper, string][] = [["a4", "A4"], ["letter", "Letter"]];
export const SHEET_MAX_LABELS = 500; // as session_service/labels/sheet.py has it
const FREED_AFTER_MS = 60_000; // a browser that asks where to save it takes its time

// The sheet as a file, and written down as printed.
export async function printed(deviceIds: string[], paper: Paper, reason: string): Promise<void> {
  const sheet = await postForFile("/v1/ops/labels/sheets", { device_ids: deviceIds, paper, printed: true, reason });
  const address = URL.createObjectURL(sheet);
  const link = document.createElement("a");
  link.href = address;
  link.download = deviceIds.length === 1 ? `label-${deviceIds[0]}.pdf` : `labels-${deviceIds.length}.pdf`;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(address), FREED_AFTER_MS);
}

// The devices of a sheet that was refused because they have no label in force.
export function withoutLabel(error: unknown): string[] {
  if (!(error instanceof ApiError)) return [];
  const named = (error.problem as unknown as { device_ids?: unknown }).device_ids;
  return Array.isArray(named) ? named.map(String) : [];
}

export const newLabel = (deviceId: string, reason: string, keepOld: boolean): Promise<{ label_id: string }> =>
  post(`/v1/ops/devices/${deviceId}/labels`, { reason, keep_old_until_mounted: keepOld });

export function PaperChoice() {
  return (
    <label>
      Paper
      <select name="paper">{PAPERS.map(([value, word]) => <option key={value} value={value}>{word}</option>)}</select>
    </label>
  );
}
