/** Disks that are full, slow, broken or lose what was not synced: F22 to F27. */
import { type ChildProcess, spawn } from "node:child_process";
import type { Bed, VolumeKind } from "../bed/bed.ts";
import { onPrimary } from "../health.ts";
import { signalTree, untilFrozen, untilGone } from "../processes.ts";
import { exitOf } from "../programs.ts";
import { rows } from "../sql.ts";
import { NotYet, until } from "../until.ts";
import { type Fault, type Injected, nodes, now, type Scene } from "./fault.ts";

const volumes = { needs: ["loop volumes"], volumes: true } as const;

/** Less than one block of anything is left. */
const FULL_BYTES = 8192;

async function filled(bed: Bed, id: number, kind: VolumeKind): Promise<Injected> {
  const volume = bed.volume(id, kind);
  if (volume === undefined) throw new Error(`node ${id} has no disk of its own`);
  const at = now();
  const left = await volume.fill();
  return {
    at,
    what: `${kind} disk of node ${id} filled`,
    proof: async () => {
      if (left >= FULL_BYTES) throw new Error(`${left} bytes are still free`);
      return `${left} bytes are free`;
    },
    heal: () => volume.empty(),
  };
}

/** Attach strace to these processes and let it spoil what they ask of the kernel. */
async function traced(
  what: string,
  pids: readonly number[],
  { calls, inject }: { readonly calls: string; readonly inject: string },
): Promise<Injected> {
  if (pids.length === 0) throw new Error(`${what}: nothing runs there`);
  const attach = pids.flatMap((pid) => ["-p", `${pid}`]);
  const args = ["-f", "-qq", ...attach, "-e", `trace=${calls}`, "-e", `inject=${calls}:${inject}`];
  let said = "";
  const at = now();
  const child: ChildProcess = spawn("strace", args, { stdio: ["ignore", "ignore", "pipe"] });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-20_000);
  });
  return {
    at,
    what,
    proof: async () =>
      await until(`${what}: a call was spoiled`, { limitMs: 8000 }, () => {
        if (!/INJECTED|DELAYED/.test(said)) throw new NotYet(said.slice(-200));
        return "strace shows a spoiled call";
      }),
    heal: async () => {
      // SIGINT makes it let go of them.
      child.kill("SIGINT");
      await exitOf(child);
    },
  };
}

const pidsOf = (bed: Bed, id: number, kind: VolumeKind) =>
  bed.serverOf(id, kind).map(({ pid }) => pid);

const SYNC = "fsync,fdatasync";

function slow(kind: VolumeKind, ms: number, more: Partial<Fault> = {}): Fault {
  return {
    id: "F24",
    name: `${kind === "data" ? "the primary's disk" : "the disk of the primary's control store"} takes ${ms} ms to sync`,
    needs: ["strace"],
    bound: "untouched",
    failover: "never",
    lasts: [5000, 10_000],
    inject: ({ bed, primary }) =>
      traced(`${kind} disk of node ${primary} slow by ${ms} ms`, pidsOf(bed, primary, kind), {
        calls: SYNC,
        inject: `delay_exit=${ms * 1000}`,
      }),
    ...more,
  };
}

export const DISKS: readonly Fault[] = [
  {
    id: "F22",
    name: "the disk of the leader's control store is full",
    bold: true,
    ...volumes,
    bound: "silent",
    failover: "may",
    lasts: [5000, 8000],
    inject: ({ bed, leader }) => filled(bed, leader, "control"),
  },
  {
    id: "F22",
    name: "the disk of a standby's control store is full",
    ...volumes,
    bound: "untouched",
    failover: "never",
    lasts: [5000, 8000],
    inject: ({ bed, standbys, random }) => filled(bed, random.pick(standbys), "control"),
  },
  {
    id: "F23",
    name: "the primary's data disk is full",
    ...volumes,
    bound: "blocked",
    failover: "may",
    lasts: [5000, 10_000],
    inject: async ({ bed, primary }) => {
      const injected = await filled(bed, primary, "data");
      // WAL that is there already is used first: a few megabytes more make it grow.
      void onPrimary(
        bed,
        "create table if not exists filling as select n, repeat('x', 800) from generate_series(1, 60000) n",
        [],
        2000,
      ).catch(() => undefined); // it must fail: the disk is full
      return injected;
    },
  },
  {
    id: "F23",
    name: "no room is left for the primary's WAL",
    ...volumes,
    bound: "observed",
    failover: "must",
    lasts: [5000, 10_000],
    inject: noRoomForWal,
  },
  slow("data", 50),
  slow("data", 300, { bound: "silent" }),
  slow("data", 2000, { bound: "blocked", failover: "may" }),
  slow("control", 300),
  slow("control", 2000, { bound: "silent", failover: "may" }),
  {
    id: "F25",
    name: "syncing fails on the primary's data disk",
    needs: ["strace"],
    bound: "silent",
    failover: "must",
    lasts: [2000, 4000],
    inject: ({ bed, primary }) =>
      traced(`data disk of node ${primary} fails`, pidsOf(bed, primary, "data"), {
        calls: SYNC,
        inject: "error=EIO",
      }),
  },
  {
    id: "F26",
    name: "writing fails on the primary's control store",
    needs: ["strace"],
    bound: "silent",
    failover: "may",
    lasts: [2000, 4000],
    inject: ({ bed, primary }) =>
      traced(`control disk of node ${primary} refuses writes`, pidsOf(bed, primary, "control"), {
        calls: "pwrite64",
        inject: "error=ENOSPC:when=5+",
      }),
  },
  {
    id: "F27",
    name: "power is cut at one node",
    ...volumes,
    bound: "silent",
    failover: "may",
    lasts: [1000, 4000],
    inject: (scene) => powerCut(scene, [scene.random.pick(scene.bed.nodes).id]),
  },
  {
    id: "F27",
    name: "power is cut everywhere",
    bold: true,
    ...volumes,
    bound: "blocked",
    failover: "may",
    stopsAll: true,
    lasts: [0, 1000],
    inject: (scene) =>
      powerCut(
        scene,
        scene.bed.nodes.map(({ id }) => id),
      ),
  },
];

/** WAL alone, more than there are segments in reserve: the server cannot go on without a new one, and ends (PANIC). */
async function noRoomForWal({ bed, primary }: Scene): Promise<Injected> {
  const server = bed.serverOf(primary, "data");
  const injected = await filled(bed, primary, "data");
  const { uri } = bed.node(primary).data;
  void rows(
    uri,
    "select count(pg_logical_emit_message(false, 'filling', repeat('x', 100000))) from generate_series(1, 5000)",
  ).catch(() => undefined); // its server ends
  return {
    ...injected,
    what: `no room is left for the WAL of node ${primary}`,
    proof: async () => {
      await untilGone(server, 10_000);
      return `${await injected.proof()}, ${server.length} processes are gone`;
    },
  };
}

/**
 * Everything stands still, the files below the disks are copied as they are, everything is killed, and the copies take
 * the disks' place: what was written and not synced is gone.
 */
async function powerCut({ bed }: Scene, ids: readonly number[]): Promise<Injected> {
  for (const id of ids) bed.keeper(id).hold();
  const list = () => ids.flatMap((id) => bed.processesOf(id));
  const at = now();
  const stopped = signalTree(list, "SIGSTOP");
  await untilFrozen(stopped, 3000);
  const disks = ids.flatMap((id) =>
    (["control", "data"] as const).flatMap((kind) => bed.volume(id, kind) ?? []),
  );
  for (const disk of disks) await disk.snapshot();
  const killed = signalTree(list, "SIGKILL");
  return {
    at,
    what: `power cut at ${nodes(ids)}`,
    proof: async () => {
      await untilGone([...stopped, ...killed], 10_000);
      return `${disks.length} disks copied in use, ${stopped.length} processes gone`;
    },
    heal: async () => {
      await untilGone([...stopped, ...killed], 10_000);
      for (const disk of disks) await disk.restore();
      for (const id of ids) bed.keeper(id).start();
    },
  };
}
