/**
 * What the control plane costs when nothing happens: CPU and memory of worker, deadman and control store per node, the
 * leader and the others apart.
 *
 *   node bench/idle.ts [--seconds 30] [--nodes 3] [--dist] [--json FILE]
 *
 * `--dist` runs the built package (npm run build) instead of the sources. CPU is user and system time of
 * /proc/<pid>/stat over the interval, in per cent of one core; memory is PSS of /proc/<pid>/smaps_rollup, which divides
 * shared pages among those who share them. Beside it stands what a Node.js process costs here that wakes as often as a
 * worker and does nothing: a waking's price differs between machines more than anything else.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { readOptions } from "../scripts/options.ts";
import { monotonicClock } from "../src/clock/clock.ts";
import { type Cluster, startCluster } from "../test/support/cluster.ts";
import { untilHealthy } from "../test/support/health.ts";
import { type Process, stillAlive } from "../test/support/processes.ts";
import { mustRun, PROJECT } from "../test/support/programs.ts";
import { conditionsOf, describeConditions, positive, writeResult } from "./conditions.ts";
import { PARTS, type Part, partsOf, pssMb } from "./parts.ts";

interface Cost {
  readonly node: number;
  readonly leader: boolean;
  readonly part: Part;
  readonly processes: number;
  /** Per cent of one core. */
  readonly cpuPercent: number;
  readonly pssMb: number;
}

/** User and system time, in seconds, children that ended included. */
async function cpuSeconds(pid: number, ticksPerSecond: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => undefined);
  if (stat === undefined) return 0; // ended during the interval
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0);
  return ticks / ticksPerSecond;
}

async function measure(cluster: Cluster, seconds: number): Promise<Cost[]> {
  const { leader } = await untilHealthy(cluster);
  const ticks = Number(await mustRun("getconf", ["CLK_TCK"]));
  const watched = cluster.nodes.flatMap(({ id }) => {
    const parts = partsOf(cluster, id);
    return PARTS.map((part) => ({ id, part, processes: parts[part] }));
  });
  const sum = async (processes: readonly Process[], read: (pid: number) => Promise<number>) => {
    const each = await Promise.all(processes.map(({ pid }) => read(pid)));
    return each.reduce((total, one) => total + one, 0);
  };
  const cpu = (processes: readonly Process[]) => sum(processes, (pid) => cpuSeconds(pid, ticks));
  const before = await Promise.all(watched.map(({ processes }) => cpu(processes)));
  const since = monotonicClock.now();
  await monotonicClock.sleep(seconds * 1000);
  const after = await Promise.all(watched.map(({ processes }) => cpu(processes)));
  const elapsed = (monotonicClock.now() - since) / 1000;
  return await Promise.all(
    watched.map(async ({ id, part, processes }, index) => ({
      node: id,
      leader: id === leader,
      part,
      processes: processes.filter(stillAlive).length,
      cpuPercent: (((after[index] ?? 0) - (before[index] ?? 0)) / elapsed) * 100,
      pssMb: await sum(processes, pssMb),
    })),
  );
}

const WAKINGS = 50;
const FLOOR_S = 8;

/** Per cent of one core of a process that wakes {@link WAKINGS} times a second and does nothing. */
async function floor(): Promise<number> {
  const ticks = Number(await mustRun("getconf", ["CLK_TCK"]));
  const script = `setInterval(() => undefined, ${1000 / WAKINGS})`;
  const child = spawn(process.execPath, ["-e", script], { stdio: "ignore" });
  const exit = once(child, "exit");
  try {
    await monotonicClock.sleep(2000); // its start
    const before = await cpuSeconds(child.pid ?? 0, ticks);
    await monotonicClock.sleep(FLOOR_S * 1000);
    return (((await cpuSeconds(child.pid ?? 0, ticks)) - before) / FLOOR_S) * 100;
  } finally {
    child.kill("SIGKILL");
    await exit;
  }
}

function report(costs: readonly Cost[]): void {
  console.log("\nnode  part            processes   CPU % of a core   PSS MB");
  for (const { node, leader, part, processes, cpuPercent, pssMb: pss } of costs) {
    const head = `${node}${leader ? "*" : " "}    ${part.padEnd(14)} ${`${processes}`.padStart(10)}`;
    console.log(`${head} ${cpuPercent.toFixed(2).padStart(17)} ${pss.toFixed(1).padStart(8)}`);
  }
  console.log("\ncontrol plane (without the data server); * is the leader; goal: 2 %, 1 %, 90 MB");
  for (const node of new Set(costs.map((cost) => cost.node))) {
    const own = costs.filter((cost) => cost.node === node && cost.part !== "data server");
    const cpu = own.reduce((total, one) => total + one.cpuPercent, 0);
    const pss = own.reduce((total, one) => total + one.pssMb, 0);
    const who = `${node}${own[0]?.leader ? "*" : " "}`;
    console.log(`${who}    ${cpu.toFixed(2).padStart(6)} %   ${pss.toFixed(1).padStart(6)} MB`);
  }
}

async function main(): Promise<void> {
  const { values } = readOptions({
    options: {
      seconds: { type: "string", default: "30" },
      nodes: { type: "string", default: "3" },
      dist: { type: "boolean", default: false },
      json: { type: "string" },
    },
  });
  const seconds = positive("--seconds", values.seconds);
  const nodes = positive("--nodes", values.nodes);
  const main = join(PROJECT, "dist/cli/main.js");
  if (values.dist && !existsSync(main)) throw new Error(`${main} is not there: npm run build`);
  const cluster = await startCluster({ nodes, ...(values.dist ? { main } : {}) });
  try {
    const { primary } = await untilHealthy(cluster);
    const conditions = await conditionsOf(cluster.node(primary).data.uri);
    const what = values.dist ? "built package" : "sources";
    console.log(`${describeConditions(conditions)}\n${nodes} nodes, ${what}, ${seconds} s idle`);
    const floorPercent = await floor(); // what a start leaves behind is over by then
    const costs = await measure(cluster, seconds);
    report(costs);
    console.log(
      `\na Node.js process that wakes ${WAKINGS} times a second for nothing: ${floorPercent.toFixed(2)} %`,
    );
    const result = { conditions, nodes, built: values.dist, seconds, floorPercent, costs };
    console.log(`\nwritten to ${await writeResult("idle", result, values.json)}`);
    await cluster.stop();
  } finally {
    await cluster.discard("remove");
  }
}

await main();
