/**
 * The report of a pledged member (H01): stop receiving, prove it, let replay end, say how far the WAL reaches.
 *
 * What is reported is the *replayed* position, once replay is proved finished, and that is deliberate. H08 warns that
 * `pg_last_wal_receive_lsn()` is NULL or a segment's start after a restart, and may lie inside a record otherwise.
 * A commit was acknowledged for this node only after its whole record was flushed here, and finished replay has read
 * every whole record there is: so nothing acknowledged lies beyond it. The part of a record that may follow is what a
 * promotion cuts off; with it in the report `from_lsn` would lie beyond the switch point, and an acknowledged
 * commit of the new epoch below it could be taken for the old one's.
 */
import { join } from "node:path";
import { WaitTimeout } from "../clock/clock.ts";
import { failPoint } from "../clock/fail-point.ts";
import { contradiction, reachedEpoch } from "../core/history.ts";
import { formatLsn, type Lsn } from "../core/ids.ts";
import { stampChain } from "../db/data-server.ts";
import { pollRecovery, pushReplay, type Recovery } from "../db/data-standby.ts";
import { exists } from "../postgres/files.ts";
import { type Agent, type Order, ownPids, recheck } from "./context.ts";
import { classify } from "./disk.ts";
import { type Rest, restOf } from "./processes.ts";
import { change } from "./settings.ts";

const POLL_MS = 2;
/** Replay that is not finished by then needs a person (H22). */
const REPLAY_LIMIT_MS = 10_000;
/** Before a conflicting query is cancelled, and again: replay normally ends by itself. */
const PATIENCE_MS = 200;
/** Between two reloads that make the startup process look again. */
const PROD_MS = 8;
/** Between two looks that must agree, where processes do not tell how often they slept. */
const BLIND_GAP_MS = 70;

export async function report(agent: Agent, order: Order): Promise<void> {
  const started = agent.clock.now();
  agent.state.reported = { epoch: order.epoch, at: started };
  const end = await detach(agent, order);
  await recallHistory(agent, order);
  recheck(agent, order);
  failPoint("pledge");
  await agent.store.makeReport(order.epoch, end.lsn, end.evidence);
  agent.log.info(
    {
      event: "agent.reported",
      epoch: order.epoch,
      lsn: formatLsn(end.lsn),
      tookMs: Math.round(agent.clock.now() - started),
    },
    end.evidence,
  );
}

/**
 * The report of a node whose data were being rewound when their primary was lost. It confirmed nothing since that epoch
 * began, so every commit of it since has another who can report it; and all before is held by whoever holds the epoch's
 * beginning (D4). So it counts as a report where such a one reports too, and is never chosen (H10, H23).
 */
export async function reportVoid(agent: Agent, order: Order): Promise<void> {
  const { nothingFrom } = await classify(agent);
  if (nothingFrom === undefined) throw new Error("nothing says that this node confirmed nothing");
  recheck(agent, order);
  const evidence = `it was being rewound for epoch ${nothingFrom}`;
  await agent.store.makeVoidReport(order.epoch, nothingFrom, evidence);
  agent.log.info({ event: "agent.reported", epoch: order.epoch, nothingFrom }, evidence);
}

/**
 * The stamps in the WAL say what these data followed where the store does not: one made anew has forgotten it (H56),
 * and one that was cut off has not heard of a primary appointed anew, whose commits this standby went on confirming.
 * Reported under an older epoch, they would lose against a shorter WAL (D4, H23). Data with a stamp that nobody
 * appointed are of another history: they are not reported at all (H02).
 */
async function recallHistory({ hands, store }: Agent, { view }: Order): Promise<void> {
  const { db } = await hands.get();
  const stamps = await stampChain(db, view.cluster_id);
  const wrong = contradiction(view, stamps);
  if (wrong !== undefined) throw new Error(`no report of these data: ${wrong}`);
  const reached = reachedEpoch(view, stamps);
  if (reached > view.followed) await store.recall(reached);
}

export interface EndOfWal {
  readonly lsn: Lsn;
  readonly evidence: string;
}

/**
 * Take the upstream away and prove, in this order: the files say so, a new backend shows it, no receiver exists, the
 * startup process has taken the reload and parked, no promotion is under way, everything received is replayed.
 */
export async function detach(agent: Agent, order: Order): Promise<EndOfWal> {
  const { paths, state } = agent;
  if (await exists(join(paths.dataDir, "promote"))) {
    throw new Error("a promotion was ordered and not yet begun: no report before it is fenced");
  }
  const shown = await change(agent, { upstream: undefined }, order.signal);
  if (shown.conninfo !== "") throw new Error("primary_conninfo is still set from elsewhere");
  const end = await replayed(agent, order);
  state.detached = { epoch: order.epoch, lsn: end.lsn };
  return end;
}

/** The end of the WAL, proved for this very epoch: once is enough, for nothing has been received since. */
export async function endOfWal(agent: Agent, order: Order): Promise<Lsn> {
  const { detached } = agent.state;
  return detached?.epoch === order.epoch ? detached.lsn : (await detach(agent, order)).lsn;
}

interface Sample {
  readonly seen: Recovery;
  readonly rest: Rest;
  readonly at: number;
}

/** Poll until two looks in a row find nothing left to receive or replay. */
async function replayed(agent: Agent, order: Order): Promise<EndOfWal> {
  const { clock } = agent;
  const started = clock.now();
  let first: Sample | undefined;
  let pushed = started;
  let prodded = started;
  for (;;) {
    order.signal.throwIfAborted();
    const { db } = await agent.hands.get();
    const sample: Sample = await look(db, clock.now());
    if (!sample.seen.in_recovery) throw new Error("the server is no longer in recovery");
    first = isParked(sample) ? agreed(first, sample) : undefined;
    if (first !== undefined && first !== sample && isFinished(first, sample)) {
      return endOf(sample, clock.now() - started);
    }
    const waited = clock.now() - started;
    if (clock.now() - pushed > PATIENCE_MS) {
      pushed = clock.now();
      await pushReplay(db, ownPids(agent));
    }
    if (waited > REPLAY_LIMIT_MS) throw new WaitTimeout(`replay did not end: ${describe(sample)}`);
    // Parked once, but with a rest it may not have read again: a reload makes it look at once.
    if (first !== undefined && first !== sample && clock.now() - prodded > PROD_MS) {
      prodded = clock.now();
      agent.state.server?.reload();
    }
    await clock.sleep(POLL_MS, order.signal);
  }
}

async function look(db: Parameters<typeof pollRecovery>[0], at: number): Promise<Sample> {
  const seen = await pollRecovery(db);
  const rest =
    seen.startup_pid === null ? { asleep: false, sleeps: undefined } : restOf(seen.startup_pid);
  return { seen, rest, at };
}

/** What the startup process waits for when there is no whole record left to replay. */
export const PARKED: ReadonlySet<string> = new Set([
  "RecoveryWalStream",
  "RecoveryRetrieveRetryInterval",
]);

function isParked({ seen, rest }: Sample): boolean {
  return (
    seen.receivers === 0 &&
    seen.startup_pid !== null &&
    seen.wait_event !== null &&
    PARKED.has(seen.wait_event) &&
    seen.paused === "not paused" &&
    rest.asleep
  );
}

/** The earlier look, as long as nothing has moved since. */
function agreed(first: Sample | undefined, sample: Sample): Sample {
  return first !== undefined && first.seen.replay_lsn === sample.seen.replay_lsn ? first : sample;
}

/**
 * With all that was received replayed, two looks are enough. Otherwise a part of a record follows, or the startup
 * process parked before it read what came last: it must have slept and woken twice, and so have read again.
 */
function isFinished(first: Sample, sample: Sample): boolean {
  const { replay_lsn: replay, receive_lsn: receive } = sample.seen;
  if (replay === null) return false;
  if (receive === null || replay >= receive) return true;
  const { sleeps } = sample.rest;
  if (sleeps === undefined || first.rest.sleeps === undefined) {
    return sample.at - first.at > BLIND_GAP_MS;
  }
  return sleeps - first.rest.sleeps >= 2;
}

function endOf(sample: Sample, tookMs: number) {
  const lsn = sample.seen.replay_lsn as Lsn;
  return { lsn, evidence: `${describe(sample)}, proved in ${Math.round(tookMs)} ms` };
}

function describe({ seen, rest }: Sample): string {
  const text = (lsn: Lsn | null) => (lsn === null ? "nothing" : formatLsn(lsn));
  return (
    `receivers ${seen.receivers}, startup in ${seen.wait_event ?? "no wait"}` +
    `${rest.asleep ? "" : " and not at rest"}, replay ${seen.paused ?? "ended"}, ` +
    `received ${text(seen.receive_lsn)}, replayed ${text(seen.replay_lsn)}`
  );
}
