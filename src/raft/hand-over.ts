/** A leader that lives asks another to lead in the next term (Raft thesis §3.10). */
import type { Clock } from "../clock/clock.ts";
import type { NodeId, Term } from "../core/ids.ts";
import { type Sender, takeLead } from "../db/peer.ts";
import type { Log } from "../log/logger.ts";
import type { Link } from "./links.ts";
import type { Replicator } from "./replicator.ts";

export interface HandOverOptions {
  readonly me: Sender;
  readonly links: ReadonlyMap<NodeId, Pick<Link, "call">>;
  readonly clock: Clock;
  readonly log: Log;
}

/** The term that is to end, as its leader has it. */
export interface LedTerm {
  readonly term: Term;
  readonly replicator: Pick<Replicator, "door" | "caughtUp" | "heirs">;
  readonly signal: AbortSignal;
}

const LET_LEAD_LIMIT_MS = 300;
/** Proposals wait so long at most: for the heir to catch up, then to be elected. */
const CATCH_UP_MS = 200;
const CAUGHT_UP_POLL_MS = 5;
const ELECTED_MS = 400;

/** This node leads no longer: whoever holds most is asked to, and the next one if it does not answer. */
export async function letLead(own: HandOverOptions, { term, replicator }: Omit<LedTerm, "signal">) {
  replicator.door.shut();
  for (const to of replicator.heirs()) {
    const why = `node ${to} should lead: this one gives up`;
    if (await ask(own, to, { term, limitMs: LET_LEAD_LIMIT_MS, why })) return;
  }
}

/** Resolves when the term is over, after `limitMs` at the latest, or when `to` cannot lead. */
export async function transfer(
  own: HandOverOptions,
  to: NodeId,
  { limitMs, ...leading }: LedTerm & { readonly limitMs: number },
): Promise<void> {
  const { term, replicator, signal } = leading;
  replicator.door.shut();
  try {
    if (!(await untilCaughtUp(own, to, leading))) return;
    if (!(await ask(own, to, { term, limitMs, why: `node ${to} should lead` }))) return;
    await own.clock.sleep(ELECTED_MS, signal);
  } finally {
    replicator.door.open();
  }
  await own.clock.sleep(limitMs - ELECTED_MS, signal);
}

/** With the door shut nothing is added to what it lacks. */
async function untilCaughtUp(
  { clock }: HandOverOptions,
  to: NodeId,
  { replicator, signal }: LedTerm,
): Promise<boolean> {
  const until = clock.now() + CATCH_UP_MS;
  while (!replicator.caughtUp(to)) {
    if (clock.now() >= until || signal.aborted) return false;
    await clock.sleep(CAUGHT_UP_POLL_MS, signal);
  }
  return true;
}

/** Whether it took the request. */
async function ask(
  { me, links, log }: HandOverOptions,
  to: NodeId,
  { term, limitMs, why }: { readonly term: Term; readonly limitMs: number; readonly why: string },
): Promise<boolean> {
  log.info({ event: "raft.transfer", term, to }, why);
  const taken = links.get(to)?.call("work", limitMs, (client) => takeLead(client, me, term));
  return (await taken) === true;
}
