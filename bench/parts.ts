/** The processes of a node, by what they are for. */
import { readFile } from "node:fs/promises";
import type { Cluster } from "../test/support/cluster.ts";
import { type Process, workingIn } from "../test/support/processes.ts";

export const PARTS = ["worker", "helpers", "control store", "data server"] as const;
export type Part = (typeof PARTS)[number];

/** Memory, shared pages divided among those who share them; 0 when it is gone. */
export async function pssMb(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, "utf8").catch(() => "");
  return Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) / 1024;
}

/** Which of the node's parts each process belongs to. */
export function partsOf(cluster: Cluster, id: number): Record<Part, Process[]> {
  const { data, control, worker } = cluster.node(id);
  const all = cluster.processesOf(id);
  const store = workingIn(all, control.dir);
  const server = workingIn(all, data.dir);
  const rest = all.filter((one) => !store.includes(one) && !server.includes(one));
  return {
    worker: rest.filter(({ pid }) => pid === worker.pid),
    helpers: rest.filter(({ pid }) => pid !== worker.pid),
    "control store": store,
    "data server": server,
  };
}
