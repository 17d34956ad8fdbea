/** The loser's WAL beyond the fork is undone by pg_rewind, when that is proved to be right; else a copy is made. */

import { dialTls } from "../config/tls.ts";
import { forkOf, ownTimelines, type Stamp } from "../core/history.ts";
import { formatLsn, nodeRole } from "../core/ids.ts";
import { chooseWay, type RejoinFacts } from "../core/rejoin-rules.ts";
import { stampChain } from "../db/data-server.ts";
import { checkpointThere, type SourceState, sourceState } from "../db/data-source.ts";
import { readControlFile } from "../postgres/control-file.ts";
import {
  hasRewind,
  planRewind,
  type RewindOptions,
  type RewindPlan,
} from "../postgres/pg-rewind.ts";
import { putStandbySignal, readSettings } from "../postgres/settings.ts";
import { type Agent, type Order, recheck } from "./context.ts";
import { renewLife } from "./data-life.ts";
import { putJoining, putMarker } from "./notes.ts";
import { noteProgress } from "./progress.ts";
import { stopServer } from "./servers.ts";
import { aloneWanted, prepareFiles, writeWanted } from "./settings.ts";
import { atPrimary } from "./slots.ts";
import { redoOf, segmentName } from "./wal-end.ts";

/** A checkpoint of a busy primary writes all it holds. */
const CHECKPOINT_LIMIT_MS = 120_000;

/**
 * The server runs as a gated standby without upstream: it has recovered from a crash, and its signal file stays (H37).
 * Ends with data that must still prove themselves (`join`), or with the decision to copy.
 */
export async function rewind(agent: Agent, order: Order): Promise<void> {
  const { state, log } = agent;
  const source = await readySource(agent, order);
  const { db } = await agent.hands.get();
  const stamps = await stampChain(db, order.view.cluster_id);
  recheck(agent, order);
  await stopServer(agent);
  const options = rewindOptions(agent, order);
  const { trial, what } = await tryOut(agent, { order, source, stamps, options });
  const program = (await hasRewind(agent.binaries)) ? "there" : "missing";
  const facts = { chain: "forked", program, pages: await pagesOf(agent), trial } as const;
  const { way, why } = chooseWay(facts);
  recheck(agent, order);
  if (way !== "rewind") {
    state.rejoin = { epoch: order.epoch, by: "copy", why: `${why}: ${what}` };
    log.warn({ event: "agent.decided", epoch: order.epoch, trial }, state.rejoin.why);
    await note(agent, order, { event: "rewind_impossible", reason: state.rejoin.why });
    return;
  }
  await rewindNow(agent, order, options);
  await note(agent, order, { event: "rewound", reason: `${why}: ${what}` });
}

/** The primary as it must be before anything is compared: its checkpoint is on the epoch's timeline (H03). */
async function readySource(agent: Agent, order: Order): Promise<SourceState> {
  const { view, signal } = order;
  const ask = () => atPrimary(agent, (db) => sourceState(db, view.cluster_id), { signal });
  let source = await ask();
  if (source !== undefined && source.checkpointTimeline !== view.timeline) {
    await atPrimary(agent, checkpointThere, { limitMs: CHECKPOINT_LIMIT_MS, signal });
    source = await ask();
  }
  if (source === undefined) throw new Error("the primary does not answer: nothing can be compared");
  const newest = source.stamps.at(-1);
  if (newest?.epoch !== order.epoch || newest.node_id !== view.primary_id) {
    throw new Error(`the primary has no stamp of epoch ${order.epoch} yet`);
  }
  if (source.checkpointTimeline !== view.timeline) {
    throw new Error(
      `the primary's last checkpoint is on timeline ${source.checkpointTimeline}, not yet on ${view.timeline}`,
    );
  }
  return source;
}

interface Tried {
  readonly trial: RejoinFacts["trial"];
  /** In one clause, for the record. */
  readonly what: string;
}

/** Ask pg_rewind what it would do, and compare that with what the stamps say. Touches nothing. */
async function tryOut(
  agent: Agent,
  o: {
    readonly order: Order;
    readonly source: SourceState;
    readonly stamps: readonly Stamp[];
    readonly options: Omit<RewindOptions, "binaries">;
  },
): Promise<Tried> {
  const { binaries, paths } = agent;
  if (!(await hasRewind(binaries))) return { trial: "untested", what: "there is no such program" };
  const control = await readControlFile(paths.dataDir);
  const ours = ownTimelines(o.order.view, o.stamps);
  const timeline = Math.max(control.timeline, control.minRecoveryTimeline);
  if (!ours.has(timeline)) {
    return { trial: "elsewhere", what: `it is on timeline ${timeline}, which it was never given` };
  }
  const plan = await planRewind({ ...o.options, binaries });
  if (plan.kind === "nothing")
    return { trial: "nothing", what: "it says that no rewind is required" };
  if (plan.kind === "refused") return { trial: "refused", what: plan.why };
  const fork = forkOf(o.stamps, o.source.stamps);
  const seen = `${formatLsn(plan.forkLsn)} on timeline ${plan.forkTimeline}`;
  if (fork === undefined || plan.forkLsn !== fork || !ours.has(plan.forkTimeline)) {
    const expected = fork === undefined ? "nowhere" : `at ${formatLsn(fork)}`;
    return { trial: "elsewhere", what: `it sees the fork at ${seen}, the stamps ${expected}` };
  }
  const missing = await missingWal(agent, plan, o.source);
  if (missing !== undefined) return { trial: "wal_gone", what: missing };
  return { trial: "agrees", what: `the histories part at ${seen}` };
}

/** Recovery begins at the common checkpoint's redo: the source must hold everything from there on. */
async function missingWal(
  { paths }: Agent,
  plan: Extract<RewindPlan, { kind: "fork" }>,
  { oldestSegment }: SourceState,
): Promise<string | undefined> {
  const { walSegmentBytes } = await readControlFile(paths.dataDir);
  const { checkpointLsn, checkpointTimeline: timeline } = plan;
  const redo = await redoOf(paths.dataDir, { timeline, checkpointLsn });
  const needed = segmentName(timeline, redo, BigInt(walSegmentBytes)).slice(8);
  if (oldestSegment !== undefined && needed >= oldestSegment) return undefined;
  return `recovery would begin in ${needed}, and the primary's WAL begins at ${oldestSegment ?? "(none)"}`;
}

function rewindOptions(agent: Agent, order: Order): Omit<RewindOptions, "binaries"> {
  const { paths, owner, config } = agent;
  const primary = order.view.members.find(({ node_id }) => node_id === order.view.primary_id);
  if (primary === undefined || primary.data_host === null || primary.data_port === null) {
    throw new Error(`node ${order.view.primary_id} has no data server to rewind from`);
  }
  return {
    dataDir: paths.dataDir,
    owner,
    source: { host: primary.data_host, port: primary.data_port, user: nodeRole(config.node.id) },
    passFile: paths.passFile,
    tls: dialTls(config),
    signal: order.signal,
  };
}

/** Marked before the first byte; whole, ours and read-only again before the mark goes (H04, H38). */
async function rewindNow(
  agent: Agent,
  order: Order,
  options: Omit<RewindOptions, "binaries">,
): Promise<void> {
  const { state, store, paths, owner, log, view } = agent;
  state.activity = "rewinding";
  log.info({ event: "agent.rewinding", epoch: order.epoch, primary: view.primary_id }, "rewinding");
  try {
    await putMarker(agent, { nothingFrom: order.epoch });
    await agent.work.rewind({ ...options, onProgress: noteProgress(agent, "rewind") });
    recheck(agent, order);
    await prepareFiles(agent);
    await writeWanted(agent, aloneWanted(agent));
    await putStandbySignal(paths.dataDir, owner);
    await renewLife(agent); // the primary's number came with its files
    await store.follow(order.epoch);
    await putJoining(agent, { epoch: order.epoch, by: "rewind" });
    state.rejoin = undefined;
  } finally {
    state.activity = undefined;
    await store.clearProgress();
  }
}

async function note(
  agent: Agent,
  { epoch }: Order,
  { event, reason }: { readonly event: string; readonly reason: string },
): Promise<void> {
  agent.log.info({ event: "agent.rewound", epoch }, `${event}: ${reason}`);
  await agent.store.noteAct({ event, reason, detail: { epoch: epoch.toString() } });
}

/** Whether pg_rewind can rely on this node's pages. */
export async function pagesOf({ paths }: Agent): Promise<RejoinFacts["pages"]> {
  if ((await readControlFile(paths.dataDir)).checksums) return "protected";
  const { wal_log_hints: hints } = await readSettings(paths.dataDir);
  return hints === "on" ? "protected" : "bare";
}
