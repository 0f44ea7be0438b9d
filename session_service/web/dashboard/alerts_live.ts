// What the pages about alerts and visits share: reading again when the stream tells of a change, and who people are.
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { Fleet } from "./fleet";
import { useLoaded, type Loaded } from "./parts";

const AT_MOST_EVERY_MS = 1_000; // what is new is there within two seconds, and a busy city asks once in one
const QUIET_EVERY_MS = 5_000; // for what the stream does not tell of: a site's alert, who goes there, a note

// Something of the API that alerts bear on, read again soon after one of them has changed.
export function useAlertsLoaded<T>(path: string, fleet: Fleet): Loaded<T> {
  const loaded = useLoaded<T>(path, QUIET_EVERY_MS);
  const again = useRef(loaded.again);
  again.current = loaded.again;
  useEffect(() => {
    let seen = fleet.alertsVersion;
    let readMs = 0;
    let timer: number | undefined;
    const read = (): void => {
      timer = undefined;
      readMs = Date.now();
      void again.current();
    };
    const stop = fleet.subscribe(() => {
      if (fleet.alertsVersion === seen) return;
      seen = fleet.alertsVersion;
      timer ??= window.setTimeout(read, Math.max(0, readMs + AT_MOST_EVERY_MS - Date.now()));
    });
    return () => {
      stop();
      window.clearTimeout(timer);
    };
  }, [fleet]);
  return loaded;
}

export interface Colleague {
  operator_id: string;
  name: string;
  goes_there: boolean; // whether something can be assigned to them
}

export interface Colleagues {
  all: readonly Colleague[];
  named: (id: string | null) => string; // by id, or as the audit has them: operator:ID
}

export function useColleagues(): Colleagues {
  const { value } = useLoaded<{ colleagues: Colleague[] }>("/v1/ops/colleagues");
  return useMemo(() => {
    const all = value?.colleagues ?? [];
    const names = new Map(all.map((one) => [one.operator_id, one.name]));
    const named = (id: string | null): string => {
      if (id === null) return "nobody";
      if (id.startsWith("rule:")) return "the service";
      const plainId = id.replace("operator:", "");
      return names.get(plainId) ?? plainId;
    };
    return { all, named };
  }, [value]);
}
