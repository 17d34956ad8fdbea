/** Act to function: no choices about the cluster below this line. */
import type { Act } from "../core/agent-rules.ts";
import { provedGone } from "../postgres/fence.ts";
import { clone } from "./clone.ts";
import { type Agent, type Order, recheck } from "./context.ts";
import { adoptFounding, classify, discardFounding } from "./disk.ts";
import { follow } from "./follow.ts";
import { foundCluster } from "./found.ts";
import { proveRule } from "./gate.ts";
import { noteAct } from "./guard.ts";
import { handOver } from "./hand-over.ts";
import { join } from "./join.ts";
import { copySlots } from "./logical-copy.ts";
import { hasSettled } from "./observe.ts";
import { promote, settle } from "./promote.ts";
import { report, reportVoid } from "./report.ts";
import { rewind } from "./rewind.ts";
import { fenceServer, leave, startGated } from "./servers.ts";
import { change, currentWanted } from "./settings.ts";
import { swap } from "./swap.ts";
import { vouch } from "./vouch.ts";

type Do = (agent: Agent, order: Order) => Promise<void>;

/** An order that is older than what is known does nothing at all. */
function ordered(act: Do): Do {
  return async (agent, order) => {
    recheck(agent, order);
    await act(agent, order);
  };
}

/** Acts that change something; `wait` and `refuse` do not. */
export const ACTS: Readonly<Record<Exclude<Act, "wait" | "refuse">, Do>> = {
  discard: ordered(discardFounding),
  found: ordered(foundCluster),
  clone: ordered(clone),
  swap: ordered(swap),
  vouch: ordered(vouch),
  rewind: ordered(rewind),
  join: ordered(join),
  quarantine: ordered(quarantine),
  start: ordered(start),
  fence: ordered(fenceOnly),
  bury: ordered(bury),
  report: ordered(report),
  report_void: ordered(reportVoid),
  promote: ordered(promote),
  settle: ordered(settle),
  apply_rule: ordered(applyRule),
  hand_over: ordered(handOver),
  copy_slots: ordered(copySlots),
  follow: ordered(follow),
};

async function start(agent: Agent, order: Order): Promise<void> {
  const { systemIdentifier } = await classify(agent);
  if (systemIdentifier !== undefined) await adoptFounding(agent, systemIdentifier);
  // Only the appointed primary may be met while its gate is closed (H39): others must be able to attach.
  const appointed = order.view.goal === "primary" && order.view.followed < order.epoch;
  await startGated(agent, { listen: appointed }, order.signal);
}

/** Only the fence: the table starts it again, read-only, when that is the next thing to do. */
async function fenceOnly(agent: Agent, order: Order): Promise<void> {
  await fenceServer(agent, order.view.goal_why);
  const detail = { epoch: order.epoch.toString() };
  await noteAct(agent, { event: "fenced", reason: order.view.goal_why, detail });
}

/**
 * Nobody appointed it and it left recovery: `pg_promote()` by hand, or a start without its signal file (H23, H40). It
 * is ended and told of; what it wrote stays on its disk until a copy replaces it.
 */
async function quarantine(agent: Agent, order: Order): Promise<void> {
  await fenceServer(agent, order.why);
  const detail = { epoch: order.epoch.toString() };
  await agent.store.noteAct({ event: "rogue_quarantined", reason: order.why, detail });
}

/** The server died: its leftovers are ended, that nothing is left is proved, and said at once (H05). */
async function bury(agent: Agent): Promise<void> {
  const { paths, binaries, data, state } = agent;
  const { port, listen } = data;
  if (await provedGone({ dataDir: paths.dataDir, binaries, port, listen })) {
    leave(agent);
    state.gone = true;
  } else {
    await fenceServer(agent, "the postmaster died");
  }
  await agent.publish();
}

async function applyRule(agent: Agent, order: Order): Promise<void> {
  if (agent.state.leads !== undefined) {
    await proveRule(agent, order);
    agent.state.overridden = false;
    return;
  }
  const { upstream } = currentWanted(agent);
  const settled = upstream && { ...upstream, settled: hasSettled(agent) };
  const { standby_names: standbyNames } = order.view;
  const shown = await change(agent, { standbyNames, upstream: settled }, order.signal);
  agent.state.overridden = false;
  const { look } = agent.state;
  if (look !== undefined) agent.state.look = { ...look, standby_names: shown.standby_names };
}
