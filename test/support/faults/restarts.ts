/** What is planned and must cost next to nothing: F48 and a switchover. */
import type { Bed } from "../bed/bed.ts";
import { untilHealthy } from "../health.ts";
import { CLI, run } from "../programs.ts";
import { rows } from "../sql.ts";
import { type Fault, type Injected, nothing, now } from "./fault.ts";

/** `pg-replica stop`, as an operator types it, and its service started again. */
async function restartNode(bed: Bed, id: number): Promise<void> {
  bed.keeper(id).hold();
  const [program = "", ...args] = [...bed.network.enter(id), process.execPath, CLI];
  const stop = [...args, "stop", "--config", bed.configOf(id)];
  try {
    const { exitCode, stdout, stderr } = await run(program, stop, { limitMs: 90_000 });
    if (exitCode !== 0) throw new Error(`stop of node ${id}: exit ${exitCode}\n${stdout}${stderr}`);
    await bed.keeper(id).end();
  } finally {
    bed.keeper(id).start();
  }
  await untilHealthy(bed, 120_000);
}

async function rolling(bed: Bed, order: readonly number[]): Promise<Injected> {
  const at = now();
  const before = new Map(order.map((id) => [id, bed.keeper(id).starts]));
  for (const id of order) await restartNode(bed, id);
  return {
    at,
    what: `nodes restarted one after another: ${order}`,
    proof: async () => {
      const same = order.filter((id) => bed.keeper(id).starts === before.get(id));
      if (same.length > 0) throw new Error(`never restarted: ${same}`);
      return "every worker was started again";
    },
    heal: nothing,
  };
}

export const RESTARTS: readonly Fault[] = [
  {
    id: "F48",
    name: "all nodes are restarted, one after another",
    needs: [],
    bound: "silent",
    failover: "may",
    lasts: [0, 0],
    inject: ({ bed, primary, standbys }) => rolling(bed, [...standbys, primary]),
  },
  {
    id: "D15",
    name: "a planned switchover",
    bold: true,
    needs: [],
    bound: "untouched",
    failover: "must",
    lasts: [0, 1000],
    inject: ({ bed, standbys, random }) => switchover(bed, random.pick(standbys)),
  },
];

/** Asked on this node; where to is left to the cluster. */
export async function switchover(bed: Bed, id: number): Promise<Injected> {
  const at = now();
  const { uri } = bed.node(id).control;
  const [row] = await rows(uri, "select * from pg_replica.switchover()", [], { answerMs: 60_000 });
  return {
    at,
    what: `switchover asked on node ${id}`,
    proof: async () => {
      if (row?.state !== "done") throw new Error(JSON.stringify(row));
      return `the primary is node ${row.to_node}`;
    },
    heal: nothing,
  };
}
