/** A planned switchover on the primary: drain, stop cleanly, say where the WAL ends (H12). */
import { WaitTimeout, waitUntil } from "../clock/clock.ts";
import { formatLsn } from "../core/ids.ts";
import { busySessions, checkpoint } from "../db/data-primary.ts";
import { readControlFile } from "../postgres/control-file.ts";
import { type Agent, freshConnection, type Order, ownPids, recheck } from "./context.ts";
import { childTitles } from "./processes.ts";
import { emptyRooms } from "./promote.ts";
import { fenceServer, stopServer } from "./servers.ts";
import { change } from "./settings.ts";
import { shutdownEnd } from "./wal-end.ts";

const POLL_MS = 2;
/** Running transactions have this long; then they are ended. */
const DRAIN_MS = 100;
/** Commits that wait for standbys are never cut off sooner than this. */
const SYNC_LIMIT_MS = 2000;

/** Ends with `hand_over_done` either way: with the end of the WAL, or with the problem. */
export async function handOver(agent: Agent, order: Order): Promise<void> {
  const { clock } = agent;
  let started: number;
  try {
    await writeOutEarly(agent);
    recheck(agent, order);
    started = clock.now();
    await drain(agent, order);
    recheck(agent, order);
  } catch (error) {
    if (order.signal.aborted) throw error;
    await goOn(agent, order, error);
    return;
  }
  await stopForGood(agent, order, started);
  // The table starts it again, read-only, once the others have had the time to take over.
  agent.state.died = true;
}

/**
 * From the signal on there is no way back: a stop that does not end is fenced. The history is over with the shutdown
 * checkpoint; an archive that is slow, or hangs, holds up nobody but this node.
 */
async function stopForGood(agent: Agent, order: Order, started: number): Promise<void> {
  const { store, log, clock, paths, state } = agent;
  const stopping = stopServer(agent);
  try {
    await walIsOver(agent, stopping);
    const shutdownLsn = await shutdownEnd(paths.dataDir);
    await store.handOverDone(order.epoch, { shutdownLsn });
    const tookMs = Math.round(clock.now() - started);
    const lsn = formatLsn(shutdownLsn);
    log.info({ event: "agent.drained", epoch: order.epoch, lsn, tookMs }, "drained and stopped");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    await fenceServer(agent, "a stop that did not end");
    await store.handOverDone(order.epoch, {
      problem: `it did not stop cleanly, and was fenced: ${why}`,
    });
  }
  // What was told stands, however its archiver ends.
  if (state.server !== undefined) await untilArchived(agent, stopping);
}

/**
 * The server is down, or as good as that: its control file says that nothing can be written any more, no walsender is
 * left that owes a standby the end, and what still runs is the archiver.
 */
async function walIsOver(agent: Agent, stopping: Promise<void>): Promise<void> {
  const { clock, paths, state } = agent;
  const { server } = state;
  const over = new AbortController();
  const limitMs = Number.MAX_SAFE_INTEGER; // the stop has one
  const wait = { clock, everyMs: POLL_MS, limitMs, signal: over.signal };
  const written = waitUntil("the shutdown checkpoint", wait, async () => {
    if (server === undefined || (await readControlFile(paths.dataDir)).state !== "shut_down")
      return false;
    const titles = await childTitles(server.pid);
    return titles?.every((title) => !title.includes("walsender"));
  });
  try {
    await Promise.race([stopping, written]);
  } finally {
    over.abort();
  }
}

/** It serves nobody: the lease is over, and the next primary need not wait. What is archived now is in no gap later. */
async function untilArchived(agent: Agent, stopping: Promise<void>): Promise<void> {
  const { log, state, lease } = agent;
  log.info({ event: "data.archive" }, "stopped but for its archiver, which may finish");
  state.leads = undefined;
  try {
    await lease.release();
    await stopping;
  } catch (error) {
    await fenceServer(agent, `the archiver did not end: ${error}`);
  }
}

/** The stop's own checkpoint has little left to write then. As long as it takes: clients are still served. */
async function writeOutEarly(agent: Agent): Promise<void> {
  const connection = await freshConnection(agent);
  try {
    await connection.db.query("set statement_timeout = 0");
    await checkpoint(connection.db);
  } finally {
    connection.end();
  }
}

/** Doors first; running transactions may end within the limit; no commit that waits for standbys is cut off. */
async function drain(agent: Agent, order: Order): Promise<void> {
  const { clock } = agent;
  const { signal } = order;
  const proofPid = await closeDoors(agent, signal);
  const { db } = await agent.hands.get();
  const started = clock.now();
  const wait = { clock, everyMs: POLL_MS, limitMs: SYNC_LIMIT_MS, signal };
  await waitUntil("commits waiting for standbys", wait, async () => {
    const { running, waiting } = await busySessions(db, ownPids(agent));
    if (waiting > 0) return false;
    return running === 0 || clock.now() - started > DRAIN_MS;
  });
  await emptyRooms(agent, signal, proofPid);
}

async function closeDoors(agent: Agent, signal: AbortSignal): Promise<number> {
  const { state } = agent;
  const { pid } = await change(agent, { gate: "closed" }, signal);
  if (state.leads !== undefined) state.leads = { ...state.leads, gateOpen: false };
  return pid;
}

/** Before the stop the primary can go on: its gate opens again when the committed state says so. */
async function goOn(agent: Agent, order: Order, error: unknown): Promise<void> {
  const { state, store, log } = agent;
  const why = error instanceof Error ? error.message : String(error);
  const problem =
    error instanceof WaitTimeout
      ? `it could not be drained: ${why}`
      : `the hand-over failed: ${why}`;
  log.warn({ event: "agent.failed", epoch: order.epoch, error: why }, "the hand-over failed");
  if (state.server?.alive() && state.leads !== undefined) {
    await change(agent, { gate: "open" }, order.signal);
    state.leads = { ...state.leads, gateOpen: true };
  }
  await store.handOverDone(order.epoch, { problem });
}
