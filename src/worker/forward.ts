/** What this node tells the leader unasked: its own row when it changed, and what it did by itself. */
import type { Clock } from "../clock/clock.ts";
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

const LOOK_MS = 1000;
const LIMIT_MS = 500;

/** Fields that change all the time and decide nothing. */
const RESTLESS =
  /"progress":\s*\{[^}]*\}|"(beat|observed_at|wal_lsn|replay_lsn|lag_bytes|lag_ms)":[^,}]*/g;

/** Runs until the signal aborts; a store or leader that does not answer is asked again at the next look. */
export async function forward(options: ForwardOptions): Promise<void> {
  const { hints, signal, log } = options;
  let told = "";
  while (!signal.aborted) {
    try {
      told = await tellRow(options, told);
      await tellActs(options);
    } catch (error) {
      log.debug({ event: "control.gone" }, `nothing forwarded: ${error}`);
    }
    await hints.within(LOOK_MS, signal);
  }
}

/** The leader on this very node reads the row where it is. */
async function tellRow({ me, raft, store }: ForwardOptions, told: string): Promise<string> {
  const leader = raft.leader();
  if (leader === undefined || leader === me.nodeId) return "";
  const row = await ownRow(store);
  if (row === undefined) return told;
  const gist = `${leader}${row.replaceAll(RESTLESS, "")}`;
  if (gist === told) return told;
  const answer = await raft
    .link(leader)
    ?.call("work", LIMIT_MS, (client) => suspect(client, me, row).then(() => true));
  return answer === true ? gist : told;
}

/** Each act has a key of its own, so that being told twice is being told once (H60). */
async function tellActs({ me, raft, store }: ForwardOptions): Promise<void> {
  const leader = raft.leader();
  if (leader === undefined) return;
  for (const { key, body } of await pendingActs(store)) {
    await raft
      .link(leader)
      ?.call("work", LIMIT_MS, (client) => submit(client, me, { key, kind: "event", body }));
  }
}
