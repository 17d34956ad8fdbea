/** The gate of a new primary: it opens when enough of the cohort hold the epoch's stamp, never before (H06). */
import { waitUntil } from "../clock/clock.ts";
import { failPoint } from "../clock/fail-point.ts";
import { surelyOverMs } from "../core/lease.ts";
import { checkpoint, checkpointer, endBackends, writeMark } from "../db/data-primary.ts";
import { type Attached, attachedTo } from "../db/data-server.ts";
import { type Agent, freshConnection, type Order, recheck } from "./context.ts";
import { restOf } from "./processes.ts";
import { change, shownByNew } from "./settings.ts";
import { confirming, isOurs } from "./standbys.ts";

const POLL_MS = 2;

/** Waits as long as it takes; a newer order ends the wait. */
export async function openGate(agent: Agent, order: Order): Promise<void> {
  const { state, log, clock } = agent;
  const { leads } = state;
  if (leads?.stampLsn === undefined) throw new Error("no stamp: the gate stays closed");
  const { stampLsn } = leads;
  const started = clock.now();
  // Doors that stood open while somebody who was no member confirmed commits.
  if (state.wanted?.gate === "open" && !(await isConfirmed(agent, stampLsn))) {
    await change(agent, { gate: "closed" }, order.signal);
  }
  await confirmed(agent, order, stampLsn);
  await oldLeaseOver(agent, order);
  await agent.lease.enter(order);
  await change(agent, { gate: "open" }, order.signal);
  failPoint("gate");
  state.leads = { ...leads, gateOpen: true };
  const waitedMs = Math.round(clock.now() - started);
  log.info(
    { event: "agent.gate_opened", epoch: order.epoch, waitedMs },
    "enough members hold the stamp",
  );
  await agent.publish();
  void checkpointLater(agent);
}

/**
 * With strict reads nobody is served before an old primary that was not proved fenced has lost its lease, and its fence
 * is over: counted from when this node began to promote, after the last pledge (H31).
 */
async function oldLeaseOver({ config, view, state, clock, log }: Agent, order: Order) {
  const mayServe = !view.old_fenced && view.epoch > 1n;
  if (!mayServe || !config.strictReads) return;
  const began = state.promotedFor?.epoch === order.epoch ? state.promotedFor.at : clock.now();
  state.promotedFor = { epoch: order.epoch, at: began };
  const waitMs = began + surelyOverMs(config.timing) - clock.now();
  if (waitMs <= 0) return;
  log.info(
    { event: "agent.gate_waits", epoch: order.epoch, waitMs: Math.round(waitMs) },
    "the old primary was not proved fenced: its lease must be over first",
  );
  await clock.sleep(waitMs, order.signal);
  order.signal.throwIfAborted();
}

/** Until k distinct cohort names report flush at or past an LSN. */
async function confirmed(agent: Agent, order: Order, at: bigint): Promise<void> {
  const limitMs = Number.MAX_SAFE_INTEGER;
  const wait = { clock: agent.clock, everyMs: POLL_MS, limitMs, signal: order.signal };
  await waitUntil("k members confirm", wait, () => isConfirmed(agent, at));
}

async function isConfirmed({ view, state, hands }: Agent, at: bigint): Promise<boolean> {
  if (view.rule_k === 0) return true;
  const { db } = await hands.get();
  state.attached = await attachedTo(db);
  return confirming(state.attached, view, at).size >= view.rule_k;
}

/** The first clients come back meanwhile. */
const CHECKPOINT_AFTER_MS = 300;

/** What need not hurry: a checkpoint on the new timeline, which makes rewinds possible (H03). A failure is logged. */
async function checkpointLater(agent: Agent): Promise<void> {
  await agent.clock.sleep(CHECKPOINT_AFTER_MS);
  try {
    const connection = await freshConnection(agent);
    try {
      await connection.db.query("set statement_timeout = 0");
      await checkpoint(connection.db);
    } finally {
      connection.end();
    }
  } catch (error) {
    // The next checkpoint does as well, and notifications are hints.
    agent.log.warn(
      { event: "agent.failed", error: String(error) },
      "the checkpoint after the promotion",
    );
  }
}

const RULE_LIMIT_MS = 20_000;
const STRAGGLER_MS = 1000;

/**
 * The new commit rule on a primary: written, shown by a new backend, published by the checkpointer, and applied by the
 * walsenders of k names of the new list, which have reported WAL written after all that (H17).
 */
export async function proveRule(agent: Agent, order: Order): Promise<void> {
  const { state, view, clock } = agent;
  const names = view.standby_names;
  await change(agent, { standbyNames: names }, order.signal);
  const shown = await shownByNew(agent);
  if (shown.standby_names !== names)
    throw new Error("synchronous_standby_names is set elsewhere too");
  const wait = { clock, everyMs: 5, limitMs: RULE_LIMIT_MS, signal: order.signal };
  await waitUntil("the checkpointer at rest", wait, () => isPublished(agent));
  const { db } = await agent.hands.get();
  const mark = await writeMark(db);
  const started = clock.now();
  await waitUntil("k members confirm the new rule", wait, async () => {
    state.attached = await attachedTo(db);
    const enough = confirming(state.attached, view, mark).size >= view.rule_k;
    const behind = stragglers(state.attached, mark);
    if (!enough || behind.length === 0) return enough;
    if (clock.now() - started < STRAGGLER_MS) return false;
    // It may still apply the old rule: it comes back with the new one.
    await endBackends(db, behind);
    return true;
  });
  recheck(agent, order);
  state.ruleInForce = { names, version: view.rule_version };
  if (state.look !== undefined) state.look = { ...state.look, standby_names: names };
  await agent.publish();
}

/**
 * Walsenders that may not have read the new list yet: also of a member that leaves it, for under the old list its
 * confirmation would still count. One that has passed on the mark has read the list before.
 */
function stragglers(attached: readonly Attached[], mark: bigint): number[] {
  return attached
    .filter(
      ({ application_name, flush_lsn }) => isOurs(application_name) && (flush_lsn ?? 0n) < mark,
    )
    .map(({ pid }) => pid);
}

/** Whether commits wait at all is the checkpointer's to publish: it must have taken the reload. */
export async function isPublished(agent: Agent): Promise<boolean> {
  const { db } = await agent.hands.get();
  const process = await checkpointer(db);
  if (process === undefined) return false;
  const waits =
    process.wait_event === "CheckpointerMain" || process.wait_event === "CheckpointWriteDelay";
  return waits && restOf(process.pid).asleep;
}
