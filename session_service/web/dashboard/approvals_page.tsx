// What waits for a second person: to open from afar what somebody may be in. Whoever asked can only take it back.
import { covers, post, type Me } from "./api";
import { whoIs } from "./case_evidence";
import type { Fleet } from "./fleet";
import { Fault, moment, ReasonForm, useLoaded } from "./parts";
import { plain } from "./states";

const READ_EVERY_MS = 2_000; // a colleague waits before a pod
const TOLD_EVERY_MS = 5_000; // on all pages; ten minutes is what there is

interface Approval {
  id: string;
  device_id: string;
  session_id: string | null;
  action: string;
  state: string;
  asked_by: string;
  why: string;
  asked_at: string | null;
  expires_at: string | null;
  decided_by: string | null;
  decided_why: string | null;
  decided_at: string | null;
}

export function ApprovalsPage({ me, fleet }: { me: Me; fleet: Fleet }) {
  const found = useLoaded<{ approvals: Approval[] }>("/v1/ops/approvals?waiting=false&limit=50", READ_EVERY_MS);
  const all = found.value?.approvals ?? [];
  const waiting = all.filter((one) => one.state === "pending");
  const over = all.filter((one) => one.state !== "pending");
  const asked = { me, fleet, again: found.again };
  return (
    <main class="page approvals">
      <h1>Approvals</h1>
      <p>Somebody may be inside, so a second person, who has signed in too, confirms it. What waits for ten minutes lapses.</p>
      <Fault of={found} />
      <section aria-labelledby="waiting">
        <h2 id="waiting">Waiting for a second person</h2>
        {found.value && waiting.length === 0 && <p role="status">Nothing waits.</p>}
        {waiting.map((one) => <Waiting key={one.id} one={one} {...asked} />)}
      </section>
      {over.length > 0 && (
        <section aria-labelledby="decided">
          <h2 id="decided">Decided or lapsed</h2>
          {over.map((one) => <Over key={one.id} one={one} {...asked} />)}
        </section>
      )}
    </main>
  );
}

// Beside the page's name in the line at the top, so that the second person hears of it on any page.
export function WaitingCount() {
  const found = useLoaded<{ approvals: Approval[] }>("/v1/ops/approvals", TOLD_EVERY_MS);
  const count = found.value?.approvals.length ?? 0;
  return count === 0 ? null : <strong class="waiting-count"> ({count} waiting)</strong>;
}

interface Asked {
  one: Approval;
  me: Me;
  fleet: Fleet;
  again: () => Promise<void>;
}

function Asks({ one, me, fleet }: Asked) {
  const line = fleet.ids.get(one.device_id);
  return (
    <>
      <p><strong>{plain(one.action)} <a href={`/ops/devices/${one.device_id}`}>{line ? `${line.kind} ${line.number}` : one.device_id}</a></strong></p>
      <p>Because: {one.why}</p>
      <p class="small">
        Asked {moment(one.asked_at)} by {whoIs(one.asked_by, me)}
        {one.session_id !== null && <>, in <a href={`/ops/sessions/${one.session_id}`}>this session</a></>}
      </p>
    </>
  );
}

function Waiting(asked: Asked) {
  const { one, me, again } = asked;
  const own = one.asked_by === `operator:${me.operator_id}`;
  const decide = (verb: string, outcome: string) => async (why: string): Promise<string> => {
    try {
      await post(`/v1/ops/approvals/${one.id}/${verb}`, { why });
      return outcome;
    } finally {
      await again();
    }
  };
  return (
    <article class="approval" aria-label={`${plain(one.action)}, because: ${one.why}`}>
      <Asks {...asked} />
      <p class="small">Lapses {moment(one.expires_at)}</p>
      {covers(me.role, "operator") && (
        <div class="approval-forms">
          {own ? <p>You have asked for this: a colleague confirms it.</p> : <ReasonForm word="Approve and send it" act={decide("confirm", "Sent.")} />}
          <ReasonForm word={own ? "Take it back" : "Refuse"} act={decide("decline", "Refused.")} />
        </div>
      )}
    </article>
  );
}

function Over(asked: Asked) {
  const { one, me } = asked;
  return (
    <article class="approval">
      <Asks {...asked} />
      <p>
        {plain(one.state)}{one.decided_by ? ` ${moment(one.decided_at)} by ${whoIs(one.decided_by, me)}, because: ${one.decided_why}` : ""}
      </p>
    </article>
  );
}
