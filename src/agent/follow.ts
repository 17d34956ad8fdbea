/** A standby is pointed at the primary of the newest epoch, if its history allows it. */
import { compareHistory, deadTimelines } from "../core/history.ts";
import { formatLsn } from "../core/ids.ts";
import { chooseWay } from "../core/rejoin-rules.ts";
import { stampChain } from "../db/data-server.ts";
import { hasRewind } from "../postgres/pg-rewind.ts";
import { dropHistoryFiles, historyFilesOf } from "../postgres/timelines.ts";
import { type Agent, type Order, recheck } from "./context.ts";
import { join } from "./join.ts";
import { endOfWal } from "./report.ts";
import { pagesOf } from "./rewind.ts";
import { startGated, stopServer } from "./servers.ts";
import { change } from "./settings.ts";

export async function follow(agent: Agent, order: Order): Promise<void> {
  const { view } = order;
  const { state, store, log } = agent;
  if (view.primary_id === null) throw new Error("no primary to follow");
  // Nothing may arrive between the check and the new upstream.
  const end = await endOfWal(agent, order);
  const { db } = await agent.hands.get();
  const stamps = await stampChain(db, view.cluster_id);
  const seen = compareHistory(view, end, stamps);
  if (seen.chain !== "same") {
    const program = (await hasRewind(agent.binaries)) ? "there" : "missing";
    const pages = await pagesOf(agent);
    const { way, why } = chooseWay({ chain: seen.chain, program, pages, trial: "untested" });
    const by = way === "copy" ? "copy" : "rewind";
    state.rejoin = { epoch: order.epoch, by, why: `${seen.why}; ${why}` };
    log.warn({ event: "agent.decided", epoch: order.epoch, by }, state.rejoin.why);
    return;
  }
  recheck(agent, order);
  await leaveDeadTimelines(agent, order, deadTimelines(view, end, stamps));
  recheck(agent, order);
  await store.follow(order.epoch);
  recheck(agent, order);
  // Its history was not verified by anyone yet: it shows itself, and counts, once it is (H39).
  if (!state.listening) return join(agent, order);
  const upstream = {
    nodeId: view.primary_id,
    epoch: order.epoch,
    as: "member",
    settled: false,
  } as const;
  await change(agent, { upstream, gate: "open", standbyNames: view.standby_names }, order.signal);
  log.info(
    { event: "agent.following", epoch: order.epoch, primary: view.primary_id, lsn: formatLsn(end) },
    "pointed at the primary",
  );
}

/**
 * The startup process goes on to the newest timeline whose history file it sees, and never turns back: where nobody
 * went on from that one, the standby would ask for it for ever. Without the file, and started again, it knows no better
 * than its own WAL, which is not of that timeline (H35).
 */
async function leaveDeadTimelines(
  agent: Agent,
  order: Order,
  dead: ReadonlySet<number>,
): Promise<void> {
  if (dead.size === 0) return;
  const { paths, state, log } = agent;
  const there = await historyFilesOf(paths.dataDir);
  const seen = there.filter(({ timeline, seed }) => dead.has(timeline) && !seed);
  if (seen.length === 0) return;
  const numbers = seen.map(({ timeline }) => timeline);
  const why = `nobody went on from timeline ${numbers.join(", ")}: it starts again without`;
  log.info({ event: "agent.following", epoch: order.epoch, timelines: numbers }, why);
  const { listening } = state;
  await stopServer(agent);
  await dropHistoryFiles(paths.dataDir, numbers);
  await startGated(agent, { listen: listening }, order.signal);
}
