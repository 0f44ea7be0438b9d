// What each device has brought in some days, the idle ones first or the busiest, page by page.
import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "./api";
import { Cards, type Column } from "./cards";
import { Choices, held, useExactly, Waiting } from "./money_parts";
import { query, type Days } from "./money_span";
import { Fault, message, money } from "./parts";

const ORDERS = [["idle", "Idle ones first"], ["busy", "Busiest first"]] as const;
const KINDS = [["", "All"], ["bike", "Bikes"], ["pod", "Pods"]] as const;
const PAGE = 25;

interface OfDevice {
  device_id: string;
  number: number;
  kind: string;
  site: string;
  service: string;
  sessions: number;
  per_day: number;
  fares_minor: number;
}

interface Page {
  currency: string;
  rows: OfDevice[];
  next_after: string | null;
}

const columns = (currency: string): Column<OfDevice>[] => [
  { word: "Device", names: true, of: (one) => <a href={`/ops/devices/${one.device_id}`}>{one.kind} {one.number}</a> },
  { word: "Site", of: (one) => one.site || "–" },
  { word: "In service", of: (one) => one.service },
  { word: "Sessions", look: "number", of: (one) => one.sessions.toLocaleString() },
  { word: "A day", look: "number", of: (one) => one.per_day.toLocaleString(undefined, { maximumFractionDigits: 2 }) },
  { word: "Fares", look: "number", of: (one) => money(one.fares_minor, currency) },
];

export function DevicesUse({ url, days }: { url: URL; days: Days }) {
  const [order, kind] = [held(url, "devices", ORDERS), held(url, "kind", KINDS)];
  const asked = `/v1/ops/reports/use/devices?${query(days)}&order=${order}${kind === "" ? "" : `&kind=${kind}`}&limit=${PAGE}`;
  const first = useExactly<Page>(asked);
  const [more, setMore] = useState<{ rows: OfDevice[]; next: string | null }>({ rows: [], next: null });
  const [fault, setFault] = useState("");
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => setMore({ rows: [], next: first.value?.next_after ?? null }), [first.value]);
  async function load(): Promise<void> {
    setFault("");
    try {
      const page = await get<Page>(`${asked}&after=${more.next}`);
      setMore((before) => ({ rows: [...before.rows, ...page.rows], next: page.next_after }));
      if (page.next_after === null) box.current?.focus(); // the button is gone
    } catch (error) {
      setFault(message(error));
    }
  }
  const { value } = first;
  return (
    <>
      <Choices label="Order" url={url} name="devices" held={order} all={ORDERS} />
      <Choices label="Kind" url={url} name="kind" held={kind} all={KINDS} />
      <Fault of={first} />
      {value === null ? <Waiting of={first} /> : (
        <Cards label="Turnover by device" rows={[...value.rows, ...more.rows]} columns={columns(value.currency)} keyOf={(one) => one.device_id} box={box} />
      )}
      {more.next !== null && <button type="button" onClick={() => void load()}>Show {PAGE} more</button>}
      <p class="fault" role="alert">{fault}</p>
    </>
  );
}
