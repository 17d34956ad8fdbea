/** What this node tells the leader unasked: its own row when it changed, and what it did by itself. */
import { type Clock, untilBeat } from "../clock/clock.ts";
import type { NodeId } from "../core/ids.ts";
import type { Queryable } from "../db/call.ts";
import type { Hints } from "../db/hints.ts";
import { ownRow, pendingActs } from "../db/node.ts";
import { type Sender, submit, suspect } from "../db/peer.ts";
import type { Log } from "../log/logger.ts";
import type { Raft } from "../raft/run.ts";

export interface ForwardOptions {
  readonly me: Sender;
  readonly raft: Raft;
  readonly store: Queryable;
  readonly hints: Hints;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Who leads is looked at this often; the store only when there may be something to tell. */
const LOOK_MS = 1000;
/** Hints tell when there is; one may have been lost (H65). */
const ASK_MS = 5000;
const LIMIT_MS = 500;

/** Fields that change all the time and decide nothing. */
const RESTLESS =
  /"(?:progress|raft)":\s*\{[^}]*\}|"(beat|observed_at|wal_lsn|replay_lsn|lag_bytes|lag_ms)":[^,}]*/g;

/** Runs until the signal aborts; a store or leader that does not answer is asked again at the next look. */
export async function forward(options: ForwardOptions): Promise<void> {
  const { raft, hints, clock, signal, log } = options;
  let told = "";
  let toldTo: NodeId | undefined;
  let askedAt = Number.NEGATIVE_INFINITY;
  let hinted = true;
  while (!signal.aborted) {
    const leader = raft.leader();
    if (hinted || leader !== toldTo || clock.now() - askedAt >= ASK_MS) {
      toldTo = leader;
      askedAt = clock.now();
      try {
        const heard = await tellRow(options, told);
        told = heard ?? told;
        if ((await tellActs(options)) || heard === undefined) askedAt = Number.NEGATIVE_INFINITY;
      } catch (error) {
        askedAt = Number.NEGATIVE_INFINITY;
        log.debug({ event: "control.gone" }, `nothing forwarded: ${error}`);
      }
    }
    hinted = await hints.within(untilBeat(clock.now(), LOOK_MS), signal);
  }
}

/** What the leader has heard now; undefined when it did not. On this very node it reads the row where it is. */
async function tellRow(
  { me, raft, store }: ForwardOptions,
  told: string,
): Promise<string | undefined> {
  const leader = raft.leader();
  if (leader === undefined || leader === me.nodeId) return "";
  const row = await ownRow(store);
  if (row === undefined) return told;
  const gist = `${leader}${row.replaceAll(RESTLESS, "")}`;
  if (gist === told) return told;
  const answer = await raft
    .link(leader)
    ?.call("work", LIMIT_MS, (client) => suspect(client, me, row).then(() => true));
  return answer === true ? gist : undefined;
}

/** Each act has a key of its own, so that being told twice is being told once (H60). True while some are pending. */
async function tellActs({ me, raft, store }: ForwardOptions): Promise<boolean> {
  const leader = raft.leader();
  if (leader === undefined) return true;
  const acts = await pendingActs(store);
  for (const { key, body } of acts) {
    await raft
      .link(leader)
      ?.call("work", LIMIT_MS, (client) => submit(client, me, { key, kind: "event", body }));
  }
  return acts.length > 0;
}
