/**
 * A whole copy of an earlier epoch's primary says by itself what it is.
 *
 * That primary held all that was acknowledged before its epoch (D4), and this node confirmed nothing in that epoch that
 * the copy, made later, does not hold: so the copy may be reported like the data it replaced. What must be proved is
 * that it is of that primary, in that epoch: its newest stamp is the one that was appointed (H02, H39).
 */
import { copyDiffers } from "../core/history.ts";
import { stampChain } from "../db/data-server.ts";
import { removeTree } from "../postgres/files.ts";
import { type Agent, type Order, recheck } from "./context.ts";
import { condemn } from "./join.ts";
import { readJoining } from "./notes.ts";
import { endOfWal } from "./report.ts";

export async function vouch(agent: Agent, order: Order): Promise<void> {
  const { view, store, log, paths } = agent;
  const joining = await readJoining(agent);
  if (joining?.by !== "copy") throw new Error(`${paths.joining} speaks of no copy`);
  const { epoch } = joining;
  // Nothing is received any more, and everything that was is replayed: the chain of stamps is whole (H01, H22).
  await endOfWal(agent, order);
  const { db } = await agent.hands.get();
  const differs = copyDiffers(view, epoch, await stampChain(db, view.cluster_id));
  recheck(agent, order);
  if (differs !== undefined) return condemn(agent, order, differs);
  // On record before the note goes: without either its WAL would be taken for an older epoch's (H23).
  await store.recall(epoch);
  await removeTree(paths.joining);
  log.info(
    { event: "agent.decided", epoch: order.epoch, copied: epoch },
    "the copy is what was appointed",
  );
}
