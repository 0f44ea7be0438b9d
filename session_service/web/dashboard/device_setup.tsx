// What a device has to identify itself, for how long, and whether it is set to what it is wanted to be set to.
import { Fault, moment, useLoaded } from "./parts";

const SOON_DAYS = 14; // devices renew a month before the end: two weeks of it have been in vain

interface Configuration {
  revision: number;
  key_ids: string[] | null;
  made_at: string | null;
}

interface Setup {
  certificate: { serial: string; not_before: string | null; not_after: string | null; days_left: number } | null;
  report_key: { key_id: string; valid_from: string | null } | null;
  reported: Configuration;
  wanted: Configuration;
  missing_keys: string[];
  former_keys: string[];
}

export function SetUp({ id }: { id: string }) {
  const setup = useLoaded<Setup>(`/v1/ops/devices/${id}/setup`, 30_000);
  const found = setup.value;
  return (
    <section aria-labelledby="setup">
      <h2 id="setup">Certificate and configuration</h2>
      <Fault of={setup} />
      {found && (
        <>
          <p class={found.certificate && found.certificate.days_left < SOON_DAYS ? "low" : ""}>{lasts(found.certificate)}</p>
          <p class={same(found) ? "" : "low"}>{differs(found)}</p>
          <dl>
            {facts(found).map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}
          </dl>
        </>
      )}
    </section>
  );
}

function lasts(certificate: Setup["certificate"]): string {
  if (certificate === null) return "⚠ It has no certificate in force.";
  const days = Math.floor(Math.abs(certificate.days_left));
  if (certificate.days_left < 0) return `⚠ Its certificate ended ${days} days ago.`;
  return `${certificate.days_left < SOON_DAYS ? "⚠ " : ""}Its certificate is good for ${days} more days.`;
}

const same = ({ reported, wanted }: Setup): boolean => reported.revision === wanted.revision;

function differs({ reported, wanted, missing_keys, former_keys }: Setup): string {
  if (reported.revision === wanted.revision) return `Configured as wanted: revision ${wanted.revision}.`;
  const parts = [
    missing_keys.length > 0 ? `it does not obey ${missing_keys.join(", ")} yet` : "",
    former_keys.length > 0 ? `it still obeys ${former_keys.join(", ")}` : "",
    reported.key_ids === null ? `revision ${reported.revision} was never made here` : "",
  ].filter((part) => part !== "");
  return `⚠ Revision ${wanted.revision} is wanted, it reports ${reported.revision}${parts.length > 0 ? `: ${parts.join("; ")}` : ""}.`;
}

const keysOf = ({ key_ids, made_at }: Configuration): string =>
  key_ids === null ? "not known" : `${key_ids.join(", ")} (of ${moment(made_at)})`;

function facts({ certificate, report_key, reported, wanted }: Setup): [string, string][] {
  const found: [string, string][] = [
    ["Certificate until", certificate ? moment(certificate.not_after) : "none"],
    ["Serial number", certificate?.serial ?? "none"],
    ["Key of its reports", report_key ? `${report_key.key_id}, since ${moment(report_key.valid_from)}` : "none"],
    ["Obeys the keys", keysOf(reported)],
  ];
  if (reported.revision !== wanted.revision) found.push(["Is to obey", keysOf(wanted)]);
  return found;
}
