/**
 * A standby proves that it shares the primary's history before it counts or serves reads (H39).
 *
 * It streams under a name that no commit rule knows and listens on no address, until: its stamps are the primary's, one
 * by one (H36); it holds nothing beyond the primary's end (H20); it has replayed a record written after it came. Then
 * it is started again with its own name and its addresses.
 */
import { WaitTimeout } from "../clock/clock.ts";
import { chainDiffers } from "../core/history.ts";
import { formatLsn } from "../core/ids.ts";
import type { Queryable } from "../db/call.ts";
import { stampChain } from "../db/data-server.ts";
import { type SourceState, sourceState, standbyPosition, writeBarrier } from "../db/data-source.ts";
import { pollRecovery } from "../db/data-standby.ts";
import { readControlFile } from "../postgres/control-file.ts";
import { removeTree } from "../postgres/files.ts";
import { ServerGone } from "../postgres/server.ts";
import { type Agent, isAlive, type Order, recheck, type Upstream } from "./context.ts";
import { fetchSlots, putSlots } from "./logical-copy.ts";
import { putMarker, readJoining } from "./notes.ts";
import { awaitedSegment } from "./processes.ts";
import { PARKED } from "./report.ts";
import { awaitReady, fenceServer, launch, startGated, stopServer } from "./servers.ts";
import { change, currentWanted, writeWanted } from "./settings.ts";
import { atPrimary, tendSlots } from "./slots.ts";
import { segmentName } from "./wal-end.ts";

/** What speaks for good against joining with these data: only a copy of the primary helps. */
class Unfit extends Error {
  override readonly name = "Unfit";
}

const POLL_MS = 20;
/** While the server waits for WAL: whether the primary still has it is asked this often. */
const ASK_MS = 1000;
/** The receiver of a joiner that can go on is there within this. */
const STREAM_LIMIT_MS = 15_000;
/** Replay that waits for so long, with the primary there to send WAL, was sent what does not continue its own. */
const STALL_MS = 15_000;

export async function join(agent: Agent, order: Order): Promise<void> {
  const { state, log, paths, clock } = agent;
  const { view } = order;
  if (view.primary_id === null) throw new Error("no primary to join");
  const started = clock.now();
  const upstream: Upstream = {
    nodeId: view.primary_id,
    epoch: order.epoch,
    as: "joiner",
    settled: false,
  };
  try {
    await beginStreaming(agent, order, upstream);
    await prove(agent, order);
  } catch (error) {
    if (!(error instanceof Unfit)) throw error;
    recheck(agent, order);
    await condemn(agent, order, error.message);
    return;
  }
  recheck(agent, order);
  const slots = await fetchSlots(agent, order);
  await stopServer(agent);
  await putSlots(agent, slots);
  await removeTree(paths.joining);
  const member = {
    upstream: { ...upstream, as: "member", settled: true },
    listen: true,
    gate: "open",
  } as const;
  await startGated(agent, member, order.signal);
  state.rejoin = undefined;
  state.standbyTried = undefined;
  log.info(
    {
      event: "agent.following",
      epoch: order.epoch,
      primary: view.primary_id,
      tookMs: Math.round(clock.now() - started),
    },
    "its history is proved: it streams as a member",
  );
  await tendSlots(agent, (await agent.hands.get()).db);
}

/** From now on the data lead nowhere: they are kept until a whole copy replaces them. */
export async function condemn(agent: Agent, order: Order, why: string): Promise<void> {
  agent.log.warn({ event: "agent.decided", epoch: order.epoch }, why);
  await fenceServer(agent, why);
  // Rewound, and never more than a joiner: what was true of it then still is.
  const joining = await readJoining(agent);
  const rewound = joining?.by === "rewind";
  await putMarker(agent, rewound ? { nothingFrom: joining.epoch } : {});
  agent.state.rejoin = { epoch: order.epoch, by: "copy", why };
}

/** Started without addresses, or turned to the primary: and answering, which may need WAL from there first. */
async function beginStreaming(agent: Agent, order: Order, upstream: Upstream): Promise<void> {
  const { state, store } = agent;
  const { standby_names: standbyNames } = order.view;
  await store.follow(order.epoch);
  recheck(agent, order);
  if (!isAlive(agent)) {
    await launch(agent, { upstream, listen: false, gate: "closed", standbyNames });
  } else if (state.look === undefined) {
    await writeWanted(agent, { ...currentWanted(agent), upstream, standbyNames });
    state.server?.reload();
  } else {
    await change(agent, { upstream, standbyNames }, order.signal);
  }
  await untilAnswering(agent, order);
}

async function untilAnswering(agent: Agent, order: Order): Promise<void> {
  const { state, clock } = agent;
  const { server } = state;
  if (server === undefined) throw new Error("no data server runs");
  let askedAt = clock.now();
  while (server.status() !== "ready") {
    order.signal.throwIfAborted();
    if (!server.alive()) {
      throw new ServerGone("the joining server ended", await server.logTail());
    }
    if (clock.now() - askedAt > ASK_MS) {
      askedAt = clock.now();
      await checkSegment(agent, order);
    }
    await clock.sleep(POLL_MS, order.signal);
  }
  await awaitReady(agent, order.signal);
}

/** The startup process says which segment it waits for; one that the primary has dropped never comes. */
async function checkSegment(agent: Agent, order: Order): Promise<void> {
  const segment = await awaitedSegment(agent.state.server?.pid ?? 0);
  if (segment === undefined) return;
  const source = await askPrimary(agent, order);
  if (source?.oldestSegment === undefined || segment >= source.oldestSegment) return;
  throw new Unfit(
    `it needs WAL from ${segment} on, and the primary's begins at ${source.oldestSegment}`,
  );
}

async function prove(agent: Agent, order: Order): Promise<void> {
  await untilStreaming(agent, order);
  const { db } = await agent.hands.get();
  // Own end first: the primary's, read later, may only be further (H20).
  const { end } = await standbyPosition(db);
  const { view, signal } = order;
  const ask = async (primary: Queryable) => ({
    barrier: await writeBarrier(primary),
    ...(await sourceState(primary, view.cluster_id)),
  });
  const asked = await atPrimary(agent, ask, { signal });
  if (asked === undefined) throw new Error("the primary does not answer: nothing can be proved");
  requireEpoch(asked, order);
  if (end !== null && end > asked.end) {
    throw new Unfit(`it holds ${formatLsn(end)}, beyond the primary's end ${formatLsn(asked.end)}`);
  }
  await untilReplayed(agent, order, asked.barrier);
  const differs = chainDiffers(await stampChain(db, order.view.cluster_id), asked.stamps);
  if (differs !== undefined) throw new Unfit(differs);
}

/** The primary that was asked is the one of this epoch, and has begun it. */
function requireEpoch({ stamps }: SourceState, { epoch, view }: Order): void {
  const newest = stamps.at(-1);
  if (newest?.epoch === epoch && newest.node_id === view.primary_id) return;
  throw new Error(`the primary has no stamp of epoch ${epoch} yet`);
}

/**
 * On the planned timeline, from the primary itself. One that refuses every record is never seen to stream for long;
 * with the primary there to serve it, that speaks against its own WAL as much as a replay that stands still (H02).
 */
async function untilStreaming(agent: Agent, order: Order): Promise<void> {
  const { clock } = agent;
  const { timeline } = order.view;
  const started = clock.now();
  let askedAt = started;
  let heard = true;
  for (;;) {
    order.signal.throwIfAborted();
    const { db } = await agent.hands.get();
    const own = await standbyPosition(db);
    if (own.timeline !== null && own.timeline === timeline) return;
    if (clock.now() - started > STREAM_LIMIT_MS) await refuseUnstreamed(agent, order, heard);
    if (clock.now() - askedAt > ASK_MS) {
      askedAt = clock.now();
      if (own.replayed !== null) heard = (await checkPosition(agent, order, own.replayed)) && heard;
    }
    await clock.sleep(POLL_MS, order.signal);
  }
}

async function refuseUnstreamed(agent: Agent, order: Order, heard: boolean): Promise<never> {
  const why = `it did not stream on the epoch's timeline within ${STREAM_LIMIT_MS} ms`;
  const source = await askPrimary(agent, order);
  if (source === undefined || !heard) throw new WaitTimeout(`${why}, and ${SILENT}`);
  requireEpoch(source, order);
  throw await unfitUnlessCopied(agent, order, `${why}, though the primary answers`);
}

/** What speaks against data that were just copied speaks against any copy: they are kept, with the server's reason. */
async function unfitUnlessCopied(agent: Agent, order: Order, why: string): Promise<Error> {
  const joining = await readJoining(agent);
  if (joining?.by !== "copy" || joining.epoch !== order.epoch) return new Unfit(why);
  const said = await agent.state.server?.logTail();
  return new Error(`${why}, and another copy would not do better\n${said}`);
}

/** Says nothing against this node's data: to condemn them would cost the cluster a report (D1). */
const SILENT = "the primary did not always answer";

async function untilReplayed(agent: Agent, order: Order, barrier: bigint): Promise<void> {
  const { clock } = agent;
  let last = { at: clock.now(), replayed: 0n, heard: true };
  let asked = { at: clock.now(), waits: false };
  for (;;) {
    order.signal.throwIfAborted();
    const { db } = await agent.hands.get();
    const { replay_lsn, wait_event } = await pollRecovery(db);
    const replayed = replay_lsn ?? 0n;
    if (replayed >= barrier) return;
    if (replayed > last.replayed) last = { at: clock.now(), replayed, heard: true };
    if (wait_event !== null && PARKED.has(wait_event)) asked.waits = true;
    if (clock.now() - asked.at > ASK_MS) {
      if (clock.now() - last.at > STALL_MS) {
        const why = stalled({ ...last, ...asked, barrier });
        throw await unfitUnlessCopied(agent, order, why);
      }
      if (!(await checkPosition(agent, order, replayed))) last.heard = false;
      asked = { at: clock.now(), waits: false };
    }
    await clock.sleep(POLL_MS, order.signal);
  }
}

/** Only WAL that is there and does not continue its own speaks against the data: not silence, nor a record at work. */
function stalled(stall: {
  readonly replayed: bigint;
  readonly barrier: bigint;
  readonly heard: boolean;
  readonly waits: boolean;
}): string {
  const { replayed, barrier, heard, waits } = stall;
  const why = `replay stands still at ${formatLsn(replayed)}, short of ${formatLsn(barrier)}`;
  if (!heard) throw new WaitTimeout(`${why}, and ${SILENT}`);
  if (!waits) throw new WaitTimeout(`${why}, at work on the record that follows`);
  return why;
}

/**
 * A receiver may be seen to stream between two refusals: only where it stands tells whether it can go on. False when
 * the primary does not answer.
 */
async function checkPosition(agent: Agent, order: Order, replayed: bigint): Promise<boolean> {
  const source = await askPrimary(agent, order);
  if (source === undefined) return false;
  if (replayed > source.end) {
    throw new Unfit(
      `it is at ${formatLsn(replayed)}, beyond the primary's end ${formatLsn(source.end)}`,
    );
  }
  const { walSegmentBytes } = await readControlFile(agent.paths.dataDir);
  const next = segmentName(1, replayed, BigInt(walSegmentBytes)).slice(8);
  if (source.oldestSegment === undefined || next >= source.oldestSegment) return true;
  throw new Unfit(
    `it needs WAL from ${next} on, and the primary's begins at ${source.oldestSegment}`,
  );
}

function askPrimary(agent: Agent, { view, signal }: Order): Promise<SourceState | undefined> {
  return atPrimary(agent, (db) => sourceState(db, view.cluster_id), { signal });
}
