/** Start, adopt and fence this node's data server. Whatever starts here starts read-only. */
import { join } from "node:path";
import type { Queryable } from "../db/call.ts";
import { type Look, lookAt, stampChain } from "../db/data-server.ts";
import { readControlFile } from "../postgres/control-file.ts";
import { fence } from "../postgres/fence.ts";
import { exists } from "../postgres/files.ts";
import {
  adoptServer,
  dropStaleLocks,
  type Server,
  startServer,
  waitReady,
} from "../postgres/server.ts";
import { listensAt, putStandbySignal } from "../postgres/settings.ts";
import { dropHistoryFiles, historyFilesOf, switchPointOf } from "../postgres/timelines.ts";
import type { Agent, Wanted } from "./context.ts";
import { renewLife } from "./data-life.ts";
import { classify } from "./disk.ts";
import { aloneWanted, prepareFiles, readWanted, writeWanted } from "./settings.ts";

const FENCE_LIMIT_MS = 10_000;
/** Crash recovery takes as long as it takes; the loop looks again after this. */
const READY_LIMIT_MS = 20_000;
const STOP_LIMIT_MS = 60_000;

/**
 * Start the server as a standby, gated, and wait until it answers. Without `upstream` nothing can add to its WAL.
 * Leftovers of an earlier run are fenced first. Throws when a marker forbids it, or the server ends at once.
 */
export async function startGated(
  agent: Agent,
  wanted: Partial<Wanted> = {},
  signal?: AbortSignal,
): Promise<void> {
  agent.state.activity = "starting";
  try {
    await launch(agent, wanted);
    await awaitReady(agent, signal);
  } finally {
    agent.state.activity = undefined;
  }
}

/** The same without the wait: one that needs WAL from elsewhere first may take long to answer. */
export async function launch(agent: Agent, wanted: Partial<Wanted>): Promise<void> {
  const { paths, owner, binaries, log } = agent;
  if (await exists(paths.marker)) throw new Error(`${paths.marker} forbids a start`);
  const { dataDir, logFile, socketDir } = paths;
  if (await exists(join(dataDir, "postmaster.pid"))) await fenceServer(agent, "start");
  await dropStaleLocks({ binaries, dataDir, socketDir });
  await agent.lease.release();
  await prepareFiles(agent);
  await dropSeeds(agent);
  await putStandbySignal(paths.dataDir, owner);
  const whole: Wanted = { ...aloneWanted(agent), ...wanted };
  await writeWanted(agent, whole);
  await renewLife(agent);
  const server = await startServer({ binaries, dataDir, owner, logFile, socketDir });
  take(agent, server, whole.listen);
  log.info(
    { event: "data.started", pid: server.pid, ...describeWanted(whole) },
    "started read-only",
  );
}

function describeWanted({ upstream, listen, gate }: Wanted) {
  return { upstream: upstream?.nodeId ?? null, listen, gate };
}

/** Wait until it takes connections, and look at it once. */
export async function awaitReady(agent: Agent, signal?: AbortSignal): Promise<void> {
  const { state, clock } = agent;
  if (state.server === undefined) return;
  await waitReady(state.server, { clock, limitMs: READY_LIMIT_MS, signal });
  state.look = await lookAt((await agent.eyes.get()).db);
}

/** From now on this run is our data server; its exit wakes the loop. */
function take(agent: Agent, server: Server, listening: boolean): void {
  const { state } = agent;
  agent.hands.drop();
  agent.eyes.drop();
  Object.assign(state, {
    server,
    listening,
    look: undefined,
    attached: [],
    leads: undefined,
    detached: undefined,
    slotsFor: undefined,
    receiver: undefined,
    usableSlots: undefined,
    slotsToCopy: [],
    promoting: false,
    unidentified: false,
    downSince: undefined,
    gone: false,
    died: false,
    hung: false,
    silentSince: undefined,
    ruleInForce: undefined,
  });
  void server.exited.then(() => {
    if (state.server !== server || state.activity === "stopping") return;
    agent.log.warn({ event: "data.gone", pid: server.pid }, "the data server ended");
    state.died = true;
    noteDeath(agent);
    // Said before its leftovers are ended: pledges, not the fence, keep them from acknowledging (H01).
    void agent.publish();
    agent.nudge();
  });
}

const MINUTE_MS = 60_000;
const DEATHS_A_MINUTE = 3;

function noteDeath({ state, clock, log }: Agent): void {
  const now = clock.now();
  state.deaths = [...state.deaths.filter((at) => now - at < MINUTE_MS), now];
  if (state.deaths.length < DEATHS_A_MINUTE) return;
  state.problem = `its data server died ${state.deaths.length} times within a minute: it rests`;
  log.error({ event: "data.gone", deaths: state.deaths.length }, state.problem);
}

/** It died three times within a minute: a full disk, or damage; starting it again at once helps nobody (H70). */
export function mustRest({ state, clock }: Agent): boolean {
  const recent = state.deaths.filter((at) => clock.now() - at < MINUTE_MS);
  return recent.length >= DEATHS_A_MINUTE;
}

/** A data server that was running before us runs on; what it is gets known by looking. */
export async function adopt(agent: Agent): Promise<void> {
  const { binaries, paths, state, log } = agent;
  if ((await classify(agent)).kind === "foreign") return;
  const server = await adoptServer({ binaries, dataDir: paths.dataDir });
  if (server === undefined) return;
  if (!(await listensAt(paths.dataDir, agent.data))) return endMoved(agent, server);
  await prepareFiles(agent);
  const wanted = await readWanted(agent);
  take(agent, server, wanted.listen);
  log.info({ event: "data.adopted", pid: server.pid }, "was running before this worker");
  // The configuration may have changed since, and a write may have been cut off half way.
  await writeWanted(agent, wanted);
  server.reload();
  state.unidentified = true;
}

/** Its addresses are others now, and are taken at the start: a primary is replaced, a standby starts again. */
async function endMoved({ data, log }: Agent, server: Server): Promise<void> {
  await server.stop("fast", STOP_LIMIT_MS);
  const at = `${data.listen}:${data.port}`;
  log.info({ event: "data.stopped", pid: server.pid }, `it is to listen on ${at}`);
}

/**
 * What an adopted server is: a primary goes on only as what this node was appointed to be, and began to be (H46). Until
 * this has been found out nothing is decided about it.
 */
export async function identify(agent: Agent, db: Queryable, seen: Look): Promise<void> {
  const { paths, state, view } = agent;
  state.listening = seen.listen !== "";
  const appointed = view.primary_id === view.node_id && view.followed === view.epoch;
  const { timeline } = seen;
  if (!seen.in_recovery && appointed && timeline !== null && view.timeline === timeline) {
    const chain = await stampChain(db, view.cluster_id);
    const stamped = chain.find(({ epoch }) => epoch === view.epoch);
    state.leads = {
      epoch: view.epoch,
      timeline,
      switchLsn: stamped?.switch_lsn ?? (await switchPointOf(paths.dataDir, timeline)),
      // Any position after the stamp will do: the gate waits a little longer.
      stampLsn: stamped === undefined ? undefined : (view.stamp_lsn ?? seen.wal_lsn ?? undefined),
      gateOpen: state.wanted?.gate === "open" && view.epoch_state === "serving",
    };
  }
  if (state.leads?.gateOpen) await agent.lease.restore(state.leads.epoch);
  state.look = seen;
  state.unidentified = false;
}

/** End every process of the data directory and prove it (H24 to H27). Throws when it cannot be proved. */
export async function fenceServer(agent: Agent, why: string): Promise<void> {
  const { paths, binaries, data, clock, state, log } = agent;
  state.activity = "stopping";
  try {
    const proof = await fence({
      dataDir: paths.dataDir,
      binaries,
      port: data.port,
      listen: data.listen,
      clock,
      limitMs: FENCE_LIMIT_MS,
    });
    leave(agent);
    state.gone = true;
    log.warn({ event: "agent.fenced", ...proof, why }, proof.evidence);
  } finally {
    state.activity = undefined;
  }
}

/** A clean stop; when it does not end in time it is fenced. */
export async function stopServer(agent: Agent): Promise<void> {
  const { state, log } = agent;
  const { server } = state;
  if (server === undefined) return;
  state.activity = "stopping";
  try {
    await server.stop("fast", STOP_LIMIT_MS);
    leave(agent);
    log.info({ event: "data.stopped", pid: server.pid }, "stopped");
  } finally {
    state.activity = undefined;
  }
}

/** Nothing runs any more: what was known of the run is void. */
export function leave(agent: Agent): void {
  const { state, clock } = agent;
  agent.hands.drop();
  agent.eyes.drop();
  Object.assign(state, {
    server: undefined,
    look: undefined,
    attached: [],
    leads: undefined,
    detached: undefined,
    promoting: false,
    ruleInForce: undefined,
    hung: false,
    silentSince: undefined,
  });
  state.downSince ??= clock.now();
}

/** History files that only skipped a number must not outlive a promotion that did not happen (H35). */
async function dropSeeds({ paths }: Agent): Promise<void> {
  const { timeline } = await readControlFile(paths.dataDir);
  const files = await historyFilesOf(paths.dataDir);
  const real = Math.max(timeline, ...files.filter(({ seed }) => !seed).map((one) => one.timeline));
  // One below a real number belongs to it: standbys fetch every file up to the primary's.
  const skipped = files.filter((one) => one.seed && one.timeline > real);
  await dropHistoryFiles(
    paths.dataDir,
    skipped.map((one) => one.timeline),
  );
}
