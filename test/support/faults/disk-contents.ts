/** What is on a disk is not what was written there last: F28, F29, F33, F34. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Lsn, parseLsn } from "../../../src/core/ids.ts";
import type { Bed, VolumeKind } from "../bed/bed.ts";
import type { Volume } from "../bed/volumes.ts";
import { flipByte } from "../flip-byte.ts";
import { onPrimary } from "../health.ts";
import { untilGone } from "../processes.ts";
import { rows, sqlstate, value } from "../sql.ts";
import { NotYet, until } from "../until.ts";
import { anotherLife, promisesOfNode } from "./amnesia.ts";
import { killed, killNode } from "./crashes.ts";
import { type Fault, type Injected, nothing, now } from "./fault.ts";
import type { Promised } from "./promises.ts";

/** Bytes; PostgreSQL's own default. */
const PAGE = 8192;

function volumeOf(bed: Bed, id: number, kind: VolumeKind): Volume {
  const volume = bed.volume(id, kind);
  if (volume === undefined) throw new Error(`node ${id} has no disk of its own`);
  return volume;
}

/** The node dies, and one of its disks is what it was when it was copied. */
async function putBack(bed: Bed, id: number, disk: Volume): Promise<number> {
  const dead = killNode(bed, id);
  await dead.proof();
  await bed.keeper(id).end();
  await disk.restore();
  bed.keeper(id).start();
  return dead.at;
}

/** Entries go on until the node's sign beside its data speaks of more than the copy of its store holds. */
async function storePutBack(bed: Bed, id: number): Promise<Injected> {
  await volumeOf(bed, id, "control").snapshot();
  const before = await promisesOfNode(bed, id);
  const mark = `${bed.node(id).data.dir}.mark`;
  await until("the mark is ahead of the copy", { limitMs: 30_000, everyMs: 500 }, async () => {
    await onPrimary(bed, "select pg_replica.kv_put('put-back', 'x')");
    const { commit } = JSON.parse(await readFile(mark, "utf8"));
    if (BigInt(commit) <= BigInt(before.commit_index)) throw new NotYet(`it says ${commit}`);
    return true;
  });
  return {
    at: await putBack(bed, id, volumeOf(bed, id, "control")),
    what: `control disk of node ${id} put back`,
    proof: () => anotherLife(bed, before),
    heal: nothing,
  };
}

/** Two starts later the copy is an old one, by what the control store remembers. */
async function dataPutBack(bed: Bed, id: number): Promise<Injected> {
  const { uri } = bed.node(id).control;
  const known = () => value(uri, "select known::text from node.data_life");
  const before = await known();
  await volumeOf(bed, id, "data").snapshot();
  await killed("the server", bed.serverOf(id, "data")).proof();
  await until("its data have another number", { limitMs: 30_000 }, async () => {
    const after = await known();
    if (after === before || after.includes(",")) throw new NotYet(after);
    return true;
  });
  const said = join(bed.logs()[id - 1] ?? "", "worker.log");
  const from = (await readFile(said, "utf8")).length;
  return {
    at: await putBack(bed, id, volumeOf(bed, id, "data")),
    what: `data disk of node ${id} put back`,
    proof: async () =>
      await until("it is copied anew", { limitMs: 60_000 }, async () => {
        const text = (await readFile(said, "utf8")).slice(from);
        if (!text.includes("an older copy of the data was put back")) throw new NotYet("not yet");
        return "an older copy, says its worker";
      }),
    heal: nothing,
  };
}

/** The first page from the middle on that was last written before `redo`: recovery writes all others anew. */
async function oldPage(path: string, redo: Lsn): Promise<number | undefined> {
  const file = await readFile(path);
  const pages = file.length / PAGE;
  for (let page = Math.floor(pages / 2); page < pages; page += 1) {
    const at = page * PAGE;
    const lsn = (BigInt(file.readUInt32LE(at)) << 32n) | BigInt(file.readUInt32LE(at + 4));
    if (lsn > 0n && lsn < redo) return page;
  }
  return undefined;
}

/** One bit of a table in a control store, while the node is down. */
async function damaged(bed: Bed, id: number): Promise<Injected> {
  const before = await promisesOfNode(bed, id);
  const { uri, dir } = bed.node(id).control;
  await rows(uri, "checkpoint");
  const pathOf = async (table: string) =>
    join(dir, await value(uri, "select pg_relation_filepath($1::regclass)", [table]));
  const [log, identity] = [await pathOf("raft.log"), await pathOf("node.identity")];
  const redo = parseLsn(await value(uri, "select redo_lsn from pg_control_checkpoint()"));
  const dead = killNode(bed, id);
  await dead.proof();
  await bed.keeper(id).end();
  const page = await oldPage(log, redo);
  await flipByte(page === undefined ? identity : log, (page ?? 0) * PAGE + 8000);
  bed.keeper(id).start();
  return {
    at: dead.at,
    what: `a bit of ${page === undefined ? "node.identity" : "raft.log"} of node ${id} flipped`,
    proof: async () => {
      await until("somebody meets it", { limitMs: 60_000 }, () => isMet(bed, before));
      return await anotherLife(bed, before);
    },
    heal: nothing,
  };
}

/** By us, or by the worker before us. */
async function isMet(bed: Bed, before: Promised): Promise<boolean> {
  const { uri } = bed.node(before.node_id).control;
  try {
    await rows(uri, "select count(*) from raft.log where hash is null");
  } catch (error) {
    if (sqlstate(error) !== "XX001") throw error;
    return true;
  }
  const { incarnation } = await promisesOfNode(bed, before.node_id);
  if (incarnation === before.incarnation) throw new NotYet("nobody does");
  return true;
}

/** The file system gives up, as it does when its own metadata cannot be written: every write is refused from now on. */
async function readOnly(bed: Bed, id: number, kind: VolumeKind): Promise<Injected> {
  const volume = volumeOf(bed, id, kind);
  const at = now();
  await volume.abort();
  return {
    at,
    what: `${kind} disk of node ${id} read-only`,
    proof: async () => {
      if ((await volume.free()) > 0 && !(await volume.refuses()))
        throw new Error("it takes writes");
      return "a write is refused";
    },
    heal: async () => {
      const dead = bed.processesOf(id);
      bed.keeper(id).hold();
      if (dead.length > 0) await killNode(bed, id).proof();
      await bed.keeper(id).end();
      await untilGone(dead, 5000);
      await volume.repair();
      bed.keeper(id).start();
    },
  };
}

const disks = { needs: ["loop volumes"], volumes: true } as const;

export const DISK_CONTENTS: readonly Fault[] = [
  {
    id: "F28",
    name: "a bit flips in the control store of a standby's node",
    forgets: true,
    needs: [],
    bound: "untouched",
    failover: "never",
    lasts: [1000, 3000],
    inject: ({ bed, standbys, random }) => damaged(bed, random.pick(standbys)),
  },
  {
    id: "F28",
    name: "a bit flips in the control store of the primary's node",
    forgets: true,
    needs: [],
    bound: "silent",
    failover: "must",
    lasts: [1000, 3000],
    inject: ({ bed, primary }) => damaged(bed, primary),
  },
  {
    id: "F29",
    name: "the disk of the leader's control store is read-only",
    ...disks,
    bound: "silent",
    failover: "may",
    lasts: [5000, 8000],
    inject: ({ bed, leader }) => readOnly(bed, leader, "control"),
  },
  {
    id: "F29",
    name: "the primary's data disk is read-only",
    ...disks,
    bound: "silent",
    failover: "must",
    lasts: [5000, 8000],
    inject: ({ bed, primary }) => readOnly(bed, primary, "data"),
  },
  {
    id: "F33",
    name: "a standby's control disk is put back to an older copy",
    forgets: true,
    ...disks,
    bound: "untouched",
    failover: "never",
    lasts: [1000, 3000],
    inject: ({ bed, standbys, random }) => storePutBack(bed, random.pick(standbys)),
  },
  {
    id: "F34",
    name: "a standby's data disk is put back to an older copy",
    ...disks,
    bound: "untouched",
    failover: "never",
    lasts: [1000, 3000],
    inject: ({ bed, standbys, random }) => dataPutBack(bed, random.pick(standbys)),
  },
];
