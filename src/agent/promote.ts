/** Promotion: doors closed, rooms emptied, the planned timeline made sure of, then the order, the stamp, the gate. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { waitUntil } from "../clock/clock.ts";
import { failPoint } from "../clock/fail-point.ts";
import { nodePassword, scramVerifier } from "../config/secrets.ts";
import { formatLsn } from "../core/ids.ts";
import type { DataConnection } from "../db/data-connection.ts";
import {
  endSessions,
  ensureRoles,
  grantStamps,
  listedPids,
  orderPromotion,
  position,
  writeStamp,
} from "../db/data-primary.ts";
import { install } from "../db/install.ts";
import { readControlFile } from "../postgres/control-file.ts";
import { putStandbySignal } from "../postgres/settings.ts";
import { historyName, putSeed, switchPointOf } from "../postgres/timelines.ts";
import { type Agent, type Order, ownPids, recheck } from "./context.ts";
import { openGate } from "./gate.ts";
import { dropUntrusted } from "./logical.ts";
import { childPids, titleOf } from "./processes.ts";
import { endOfWal } from "./report.ts";
import { fenceServer, startGated, stopServer } from "./servers.ts";
import { change } from "./settings.ts";
import { createMissingSlots } from "./slots.ts";

const POLL_MS = 2;
const PROMOTION_LIMIT_MS = 30_000;
const SESSIONS_LIMIT_MS = 5000;

/** From appointed to an open gate. Nothing irreversible happens before the epoch is on record (H46). */
export async function promote(agent: Agent, order: Order): Promise<void> {
  const { state, log, clock } = agent;
  const started = clock.now();
  const sinceMs = () => Math.round(clock.now() - started);
  state.promotedFor = { epoch: order.epoch, at: started };
  await prepare(agent, order);
  const preparedMs = sinceMs();
  recheck(agent, order);
  const timeline = await becomePrimary(agent, order);
  if (timeline !== order.view.timeline) {
    await fenceServer(agent, "a timeline nobody planned");
    throw new Error(`promoted to timeline ${timeline}, planned was ${order.view.timeline}: fenced`);
  }
  // Whoever starts it from now on gets a read-only server (H40): before anybody is let in.
  const [switchLsn] = await Promise.all([
    switchPointOf(agent.paths.dataDir, timeline),
    putStandbySignal(agent.paths.dataDir, agent.owner),
  ]);
  const { epoch } = order;
  Object.assign(state, {
    leads: { epoch, timeline, switchLsn, stampLsn: undefined, gateOpen: false },
    look: undefined,
  });
  const fields = {
    epoch,
    timeline,
    switchLsn: formatLsn(switchLsn),
    preparedMs,
    tookMs: sinceMs(),
  };
  log.info({ event: "agent.promoted", ...fields }, "primary of the epoch, gate closed");
  await stampAndOpen(agent, order);
}

/** Before the order: the WAL is whole, doors closed, rooms empty, the epoch on record, the number made sure of. */
async function prepare(agent: Agent, order: Order): Promise<void> {
  const { state, view, store } = agent;
  if (!state.listening) await restartListening(agent, order);
  const end = await endOfWal(agent, order);
  if (view.from_lsn !== null && end < view.from_lsn) {
    throw new Error(
      `this node holds WAL up to ${formatLsn(end)} only, ` +
        `and was appointed for ${formatLsn(view.from_lsn)}`,
    );
  }
  const { standby_names: standbyNames } = view;
  const shown = await change(agent, { gate: "closed", standbyNames }, order.signal);
  checkRule(shown.standby_names, standbyNames);
  failPoint("settings");
  recheck(agent, order);
  const [missing] = await Promise.all([
    missingTimelines(agent, order),
    emptyRooms(agent, order.signal, shown.pid),
    createMissingSlots(agent),
    store.follow(order.epoch),
  ]);
  await Promise.all([seedTimelines(agent, missing), dropUntrusted(agent)]);
  failPoint("seed");
}

/** Order the promotion and wait for it. */
async function becomePrimary(agent: Agent, order: Order): Promise<number> {
  const { state, clock } = agent;
  const { db } = await agent.hands.get();
  state.promoting = true;
  await orderPromotion(db);
  // Only the gate waits for it: there is time while the server promotes.
  agent.lease.prepare(order.epoch);
  const timeline = await waitUntil(
    "promotion",
    { clock, everyMs: POLL_MS, limitMs: PROMOTION_LIMIT_MS },
    async () => (await position(db)).timeline ?? undefined,
  );
  failPoint("promote");
  state.promoting = false;
  return timeline;
}

/** The rest of a promotion that an earlier act, or an earlier worker, began. */
export async function settle(agent: Agent, order: Order): Promise<void> {
  await putStandbySignal(agent.paths.dataDir, agent.owner);
  await stampAndOpen(agent, order);
}

async function stampAndOpen(agent: Agent, order: Order): Promise<void> {
  const { state, view } = agent;
  const { leads } = state;
  if (leads === undefined) throw new Error("nothing was promoted in this epoch");
  recheck(agent, order);
  if (leads.stampLsn === undefined) {
    const { db } = await agent.hands.get();
    // Until all is formed the first promotion may not have been: an epoch before it may have been given up.
    if (order.epoch === 1n || !view.formed) await furnish(agent, db);
    const { epoch, timeline, switchLsn } = leads;
    const stamp = { clusterId: view.cluster_id, nodeId: view.node_id, epoch, timeline, switchLsn };
    state.leads = { ...leads, stampLsn: await writeStamp(db, stamp) };
    failPoint("stamp");
    // The leader proposes `promoted` from it; the gate does not wait for that.
    void agent.publish();
  }
  await openGate(agent, order);
}

/** What a data server needs of ours: roles of the members, functions and views; from epoch 1 on it is replicated. */
export async function furnish(agent: Agent, db: DataConnection["db"]): Promise<void> {
  const { config, view } = agent;
  const logins = view.members
    .filter(({ data_port }) => data_port !== null)
    .map(({ node_id }) => ({ nodeId: node_id, password: nodePassword(config, node_id) }));
  const { superuserPassword } = config;
  // Once, at the founding: afterwards the password is the operators'.
  const verifier =
    (view.epoch > 1n && view.formed) || superuserPassword === undefined
      ? undefined
      : scramVerifier(superuserPassword);
  await ensureRoles(db, logins, verifier);
  await db.query("set synchronous_commit = local");
  try {
    await install(db, "data");
    await grantStamps(db);
  } finally {
    await db.query("reset synchronous_commit");
  }
}

/** Started without addresses: nobody could attach. A restart, still gated by its login rules. */
async function restartListening(agent: Agent, order: Order): Promise<void> {
  await stopServer(agent);
  await startGated(agent, { listen: true, gate: "closed" }, order.signal);
  recheck(agent, order);
}

/** A promotion never relies on tightening the rule afterwards: it stands already (H16, H17). */
function checkRule(shown: string, wanted: string): void {
  if (shown === wanted) return;
  throw new Error(
    `synchronous_standby_names shows ${JSON.stringify(shown)}, must be ${JSON.stringify(wanted)}`,
  );
}

/**
 * Until no client session is left, nor a process that may become one: it passed the old rules and logs in still. Such
 * a process is a child of the postmaster, in no view. Children are listed before views, and views before sessions are
 * ended, so that one that finishes its login meanwhile is met by the next step. `proofPid` is our own last proof, which
 * may not have ended yet.
 */
export async function emptyRooms(
  agent: Agent,
  signal: AbortSignal,
  proofPid: number,
): Promise<void> {
  const { server } = agent.state;
  if (server === undefined) throw new Error("no data server runs");
  const wait = { clock: agent.clock, everyMs: POLL_MS, limitMs: SESSIONS_LIMIT_MS, signal };
  await waitUntil("no client session", wait, async () => {
    const { db } = await agent.hands.get();
    const children = await childPids(server.pid);
    const listed = new Set(await listedPids(db));
    const knocking = children.filter((pid) => !listed.has(pid) && isLoggingIn(pid));
    for (const pid of knocking) endProcess(pid);
    const ended = await endSessions(db, [...ownPids(agent), proofPid]);
    return ended === 0 && knocking.length === 0;
  });
}

/** Its title is still the postmaster's, or says that it logs in. */
function isLoggingIn(pid: number): boolean {
  const title = titleOf(pid);
  if (title === "") return false;
  return !title.startsWith("postgres: ") || /(authentication|startup|initializing)$/.test(title);
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, "SIGTERM");
  } catch (error) {
    // Gone by itself.
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/** The numbers between the newest timeline this server knows of, which is given first, and the planned one. */
async function missingTimelines(agent: Agent, order: Order): Promise<readonly number[]> {
  const { dataDir } = agent.paths;
  const planned = order.view.timeline;
  if (planned === null) throw new Error("appointed without a timeline");
  const [files, control] = await Promise.all([
    readdir(join(dataDir, "pg_wal")),
    readControlFile(dataDir),
  ]);
  const names = new Set(files);
  let newest = control.timeline;
  while (names.has(historyName(newest + 1))) newest += 1;
  if (newest >= planned) {
    throw new Error(`timeline ${planned} is planned, and this server knows of ${newest} already`);
  }
  return Array.from({ length: planned - newest }, (_, index) => newest + index);
}

/**
 * Make the server choose exactly the planned number: history files for the numbers between (H35), last of all.
 */
async function seedTimelines(
  { paths, owner }: Agent,
  [newest = 0, ...missing]: readonly number[],
): Promise<void> {
  for (const timeline of missing) {
    await putSeed(paths.dataDir, { timeline, from: newest }, owner);
  }
}
