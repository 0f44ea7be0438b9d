// One session with all evidence on one page, and what may be decided about it.
import { covers, type Me } from "./api";
import { isWhole, type Case } from "./case";
import { Decide } from "./case_decide";
import { Alerts, Facts, Moves, Reports, Said } from "./case_evidence";
import { CaseMap } from "./case_map";
import { MoneyOf } from "./case_money";
import { Timeline } from "./device_timeline";
import { Fault, useLoaded } from "./parts";
import { StateWord } from "./sessions_parts";

const READ_EVERY_MS = 2_000;

export function CasePage({ id, me }: { id: string; me: Me }) {
  const decides = covers(me.role, "operator");
  const found = useLoaded<Case>(`/v1/ops/sessions/${id}${decides ? "/case" : ""}`, READ_EVERY_MS);
  const value = found.value;
  if (value === null) return <main class="page"><h1>Session</h1>{found.fault === "" ? <p role="status">Loading</p> : <Fault of={found} />}</main>;
  const { session } = value;
  return (
    <main class="page case">
      <p class="back"><a href="/ops/sessions">Sessions</a></p>
      <h1>Session of <a href={`/ops/devices/${session.device_id}`}>{session.kind} {session.number}</a></h1>
      <p class="big" role="status"><StateWord session={session} /></p>
      <Fault of={found} />
      <div class="case-columns">
        <div>
          {isWhole(value) && <Decide id={id} found={value} tag={found.tag} again={found.again} />}
          <Facts found={value} />
          <MoneyOf found={value} />
          <CaseMap start={value.start} end={value.end} />
        </div>
        <div>
          <Said found={value} />
          <Moves moves={value.moves} me={me} />
          <Timeline commands={value.commands} me={me} />
          <Reports reports={value.reports} />
          <Alerts alerts={value.alerts} />
        </div>
      </div>
    </main>
  );
}
