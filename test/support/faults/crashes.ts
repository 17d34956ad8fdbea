/** Processes that die or stand still: F01 to F12. */

import type { Bed } from "../bed/bed.ts";
import { postmasterOf } from "../cluster.ts";
import {
  describeProcess,
  type Process,
  readProcess,
  signalAll,
  signalAtOnce,
  signalTree,
  stillAlive,
  untilFrozen,
  untilGone,
} from "../processes.ts";
import { rows } from "../sql.ts";
import { NotYet, until } from "../until.ts";
import { type Fault, type Injected, nodes, nothing, now, type Scene } from "./fault.ts";

/** SIGKILL to what was listed just now; the proof is that all of it is gone. */
export function killed(what: string, listed: readonly Process[], heal = nothing): Injected {
  if (listed.length === 0) throw new Error(`${what}: nothing to kill`);
  const at = signalAtOnce(listed, "SIGKILL");
  const proof = async () => {
    await untilGone(listed, 5000);
    return `${listed.length} processes are gone`;
  };
  return { at, what, proof, heal };
}

/** SIGSTOP to all that `list` finds, until nothing new appears; healing continues what was stopped. */
export async function frozen(what: string, list: () => readonly Process[]): Promise<Injected> {
  const first = list();
  if (first.length === 0) throw new Error(`${what}: nothing to freeze`);
  const at = signalAtOnce(first, "SIGSTOP");
  const all = new Map<number, Process>();
  for (const one of [...first, ...signalTree(list, "SIGSTOP")]) all.set(one.pid, one);
  const listed = [...all.values()];
  await untilFrozen(listed, 3000);
  return {
    at,
    what,
    // Whoever fenced it has killed it meanwhile: what is still alive must stand still.
    proof: async () => {
      await untilFrozen(listed, 0);
      return `${listed.length} processes stand still, ${listed.filter(stillAlive).length} are left`;
    },
    heal: async () => signalAll(listed, "SIGCONT"),
  };
}

/** SIGKILL to everything of a node, forks under way included; nothing of it starts again before it is healed. */
export function killNode(bed: Bed, id: number): Injected {
  const keeper = bed.keeper(id);
  keeper.hold();
  const first = bed.processesOf(id);
  const dead = killed(`everything of node ${id} killed`, first, async () => keeper.start());
  const late = signalTree(() => bed.processesOf(id), "SIGKILL");
  return {
    ...dead,
    proof: async () => {
      await untilGone([...first, ...late], 5000);
      const left = bed.processesOf(id);
      if (left.length > 0) throw new Error(left.map(describeProcess).join("; "));
      return `${first.length + late.length} processes are gone`;
    },
  };
}

/** A backend of a client that waits for confirmation, or any client's. */
async function someBackend(bed: Bed, primary: number): Promise<Process> {
  return await until("a client's backend", { limitMs: 5000, everyMs: 5 }, async () => {
    const found = await rows<{ pid: number }>(
      bed.node(primary).data.uri,
      `select pid from pg_stat_activity
        where backend_type = 'client backend' and application_name = 'outside' and pid <> pg_backend_pid()
        order by (wait_event = 'SyncRep') is true desc, backend_start limit 1`,
    );
    const process = readProcess(found[0]?.pid ?? 0);
    if (process === undefined) throw new NotYet("no client is connected");
    return process;
  });
}

/** The walsender of one standby on the primary, by the standby's address or name. */
async function walsender(bed: Bed, primary: number, standby: number): Promise<Process> {
  const found = await rows<{ pid: number }>(
    bed.node(primary).data.uri,
    "select pid from pg_stat_replication where application_name like $1",
    [`pgr_${standby}_%`],
  );
  const process = readProcess(found[0]?.pid ?? 0);
  if (process === undefined)
    throw new Error(`node ${standby} does not stream from node ${primary}`);
  return process;
}

function receiver(bed: Bed, standby: number): Process {
  const found = bed.serverOf(standby, "data").find(({ command }) => /walreceiver/.test(command));
  if (found === undefined) throw new Error(`node ${standby} has no receiver`);
  return found;
}

async function freezeOf(bed: Bed, ids: readonly number[], kind: "data" | "control") {
  const server = kind === "data" ? "data servers" : "control stores";
  return await frozen(`${server} of ${nodes(ids)} stopped`, () =>
    ids.flatMap((id) => bed.serverOf(id, kind)),
  );
}

/** The worker is killed; its service manager starts it again at once. */
const killWorker = (bed: Bed, id: number) =>
  killed(`worker of node ${id} killed`, bed.workerOf(id));

const deadmanOf = (bed: Bed, id: number) =>
  bed.processesOf(id).filter(({ command }) => /deadman/.test(command));

const freezeWorker = (bed: Bed, id: number) =>
  frozen(`worker of node ${id} stopped`, () => bed.workerOf(id));

const needs = [] as const;
const once: readonly [number, number] = [1000, 4000];

export const CRASHES: readonly Fault[] = [
  {
    id: "F01",
    name: "the primary's data server is killed, all of it",
    bold: true,
    needs,
    bound: "observed",
    failover: "must",
    lasts: once,
    inject: async ({ bed, primary }) =>
      killed(`data server of node ${primary} killed`, bed.serverOf(primary, "data")),
  },
  {
    id: "F02",
    name: "the primary's postmaster is killed, its backends are not",
    bold: true,
    needs,
    bound: "observed",
    failover: "must",
    lasts: once,
    inject: async ({ bed, primary }) => {
      const server = bed.serverOf(primary, "data");
      const postmaster = postmasterOf(server, bed.node(primary).data.dir);
      const orphans = server.filter(({ pid }) => pid !== postmaster.pid);
      const injected = killed(`postmaster of node ${primary} killed`, [postmaster]);
      const proof = async () => {
        await untilGone([postmaster, ...orphans], 5000);
        return `the postmaster and its ${orphans.length} orphans are gone`;
      };
      return { ...injected, proof };
    },
  },
  {
    id: "F03",
    name: "one backend of the primary is killed",
    bold: true,
    needs,
    bound: "observed",
    failover: "must",
    lasts: once,
    inject: async ({ bed, primary }) => {
      const backend = await someBackend(bed, primary);
      return killed(`backend ${backend.pid} of node ${primary} killed`, [backend]);
    },
  },
  {
    id: "F04",
    name: "the primary's worker is killed and started again",
    needs,
    bound: "untouched",
    failover: "may",
    lasts: once,
    inject: async ({ bed, primary }) => killWorker(bed, primary),
  },
  {
    id: "F04",
    name: "the primary's deadman is killed",
    needs,
    bound: "untouched",
    failover: "never",
    lasts: once,
    inject: async ({ bed, primary }) =>
      killed(`deadman of node ${primary} killed`, deadmanOf(bed, primary)),
  },
  {
    id: "F04",
    name: "the primary's worker and its deadman are killed at once",
    needs,
    bound: "silent",
    failover: "may",
    lasts: once,
    inject: async ({ bed, primary }) =>
      killed(`worker and deadman of node ${primary} killed`, [
        ...deadmanOf(bed, primary),
        ...bed.workerOf(primary),
      ]),
  },
  {
    id: "F05",
    name: "the control store of the primary's node is killed",
    needs,
    bound: "silent",
    failover: "may",
    lasts: once,
    inject: async ({ bed, primary }) =>
      killed(`control store of node ${primary} killed`, bed.serverOf(primary, "control")),
  },
  {
    id: "F05",
    name: "the control store of a standby's node is killed",
    needs,
    bound: "untouched",
    failover: "never",
    lasts: once,
    inject: async ({ bed, standbys, random }) => {
      const id = random.pick(standbys);
      return killed(`control store of node ${id} killed`, bed.serverOf(id, "control"));
    },
  },
  {
    id: "F06",
    name: "the primary's node is killed",
    bold: true,
    needs,
    bound: "observed",
    failover: "must",
    lasts: [1000, 8000],
    inject: async ({ bed, primary }) => killNode(bed, primary),
  },
  {
    id: "F06",
    name: "a standby's node is killed",
    needs,
    bound: "untouched",
    failover: "never",
    lasts: [1000, 8000],
    inject: async ({ bed, standbys, random }) => killNode(bed, random.pick(standbys)),
  },
  {
    id: "F07",
    name: "all nodes are killed and started again in some order",
    bold: true,
    needs,
    bound: "blocked",
    failover: "may",
    stopsAll: true,
    lasts: [0, 1000],
    inject: killAllNodes,
  },
  {
    id: "F08",
    name: "the primary's worker stands still for half a second",
    needs,
    bound: "untouched",
    failover: "never",
    lasts: [500, 700],
    inject: async ({ bed, primary }) => freezeWorker(bed, primary),
  },
  {
    id: "F08",
    name: "the primary's worker stands still",
    needs,
    bound: "silent",
    failover: "may",
    lasts: [2000, 8000],
    inject: async ({ bed, primary }) => freezeWorker(bed, primary),
  },
  {
    id: "F09",
    name: "the primary's node is frozen",
    bold: true,
    needs,
    bound: "silent",
    failover: "must",
    lasts: [5000, 10_000],
    inject: async ({ bed, primary }) =>
      await frozen(`node ${primary} frozen`, () => bed.processesOf(primary)),
  },
  {
    id: "F10",
    name: "the primary's data server is frozen",
    needs,
    bound: "silent",
    failover: "must",
    lasts: [4000, 8000],
    inject: async ({ bed, primary }) => await freezeOf(bed, [primary], "data"),
  },
  {
    id: "F11",
    name: "one walsender stands still",
    needs,
    bound: "untouched",
    failover: "never",
    lasts: [2000, 6000],
    inject: async ({ bed, primary, standbys, random }) => {
      const id = random.pick(standbys);
      const process = await walsender(bed, primary, id);
      return await frozen(`walsender of node ${primary} for node ${id} stopped`, () => [process]);
    },
  },
  {
    id: "F11",
    name: "one receiver stands still",
    needs,
    bound: "untouched",
    failover: "never",
    lasts: [2000, 6000],
    inject: async ({ bed, standbys, random }) => {
      const id = random.pick(standbys);
      const process = receiver(bed, id);
      return await frozen(`receiver of node ${id} stopped`, () => [process]);
    },
  },
  {
    id: "F12",
    name: "all standbys' data servers stand still",
    needs,
    bound: "blocked",
    failover: "never",
    lasts: [3000, 6000],
    inject: async ({ bed, standbys }) => await freezeOf(bed, standbys, "data"),
  },
];

/** Everything dies at once; healing starts the nodes one by one, the last primary wherever the order has it. */
async function killAllNodes({ bed, random }: Scene): Promise<Injected> {
  const ids = bed.nodes.map(({ id }) => id);
  const order = random.shuffled(ids);
  for (const id of ids) bed.keeper(id).hold();
  const first = ids.flatMap((id) => bed.processesOf(id));
  const dead = killed(`all nodes killed, to start in the order ${order}`, first);
  const late = signalTree(() => ids.flatMap((id) => bed.processesOf(id)), "SIGKILL");
  return {
    ...dead,
    proof: async () => {
      await untilGone([...first, ...late], 5000);
      return `${first.length + late.length} processes are gone`;
    },
    heal: async () => {
      const pauses = order.map(() => random.int(0, 1500));
      for (const [index, id] of order.entries()) {
        const from = now();
        bed.keeper(id).start();
        await until(
          "the next node's turn",
          { limitMs: 10_000 },
          () => now() - from >= (pauses[index] ?? 0),
        );
      }
    },
  };
}
