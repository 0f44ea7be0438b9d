// How each command of a device went: every state with its milliseconds, and the reason it was given.
import type { Command, Me } from "./api";
import { moment } from "./parts";
import { plain } from "./states";

export const ENDED: ReadonlySet<string> = new Set(["done", "refused", "expired"]);

export function Timeline({ commands, me }: { commands: Command[]; me: Me }) {
  const who = (actor: string): string => (actor === `operator:${me.operator_id}` ? "you" : actor);
  return (
    <section aria-labelledby="commands" class="timeline">
      <h2 id="commands">Commands</h2>
      {commands.length === 0 && <p>None yet.</p>}
      <ol>
        {commands.map((one) => (
          <li key={one.id}>
            <p><strong>{plain(one.action)}</strong>, <span class={`outcome ${one.state}`}>{one.state}{one.reason ? `: ${plain(one.reason)}` : ""}</span></p>
            <ol class="steps">{stepsOf(one).map(({ word, ms }) => <li key={word}><span>{word}</span> <span>{ms}</span></li>)}</ol>
            <p class="small">{moment(one.created_at)}, asked by {who(one.asked_by)}{one.approved_by ? `, approved by ${who(one.approved_by)}` : ""}{one.why ? `, because: ${one.why}` : ""}</p>
          </li>
        ))}
      </ol>
    </section>
  );
}

// The states that a command went through, each with the milliseconds since the one before.
function stepsOf(one: Command): { word: string; ms: string }[] {
  const times: [string, string | null][] = [
    ["created", one.created_at], ["published", one.published_at], ["accepted", one.accepted_at],
    [one.state === "unknown" ? "unknown" : ENDED.has(one.state) ? one.state : "ended", one.ended_at],
  ];
  let before: number | null = null;
  return times.flatMap(([word, at]) => {
    if (at === null) return [];
    const ms = Date.parse(at);
    const since = before === null ? moment(at) : `+${Math.max(0, ms - before)} ms`;
    before = ms;
    return [{ word, ms: since }];
  });
}
