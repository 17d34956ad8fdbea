/** The state file of a replication slot: `pg_replslot/NAME/state`, as PostgreSQL 15 and 16 write it. */
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { type Lsn, parseLsn } from "../core/ids.ts";
import { exists, makeDirectory, removeTree, syncDirectory, writeDurable } from "./files.ts";
import type { Owner } from "./owner.ts";

const MAGIC = 0x1051ca1;
const NAME_AT = 16;
const NAME_BYTES = 64;
/** After name, database, persistency, xmin and catalog_xmin. */
const RESTART_AT = 96;
const CONFIRMED_AT = 112;
const LEAST_BYTES = 120;

export interface SlotFile {
  readonly name: string;
  readonly restartLsn: Lsn;
  readonly confirmedLsn: Lsn;
  readonly bytes: Buffer;
}

/** A snapshot that decoding has stored at a position: `pg_logical/snapshots/X-Y.snap`. */
export interface SnapshotFile {
  readonly name: string;
  readonly bytes: Buffer;
}

/** The position in a snapshot's name. */
export function snapshotLsn(name: string): Lsn {
  return parseLsn(name.replace(/\.snap$/, "").replace("-", "/"));
}

/** Throws when these bytes are no slot's of that name. */
export function parseSlotFile(name: string, bytes: Buffer): SlotFile {
  const end = bytes.indexOf(0, NAME_AT);
  const found = bytes.toString("utf8", NAME_AT, Math.min(end, NAME_AT + NAME_BYTES));
  if (bytes.length < LEAST_BYTES || bytes.readUInt32LE(0) !== MAGIC || found !== name) {
    throw new Error(`${bytes.length} bytes that are not the state of slot ${name}`);
  }
  return {
    name,
    restartLsn: bytes.readBigUInt64LE(RESTART_AT),
    confirmedLsn: bytes.readBigUInt64LE(CONFIRMED_AT),
    bytes,
  };
}

/** Beside those that are there already: of the same position, they say the same. */
export async function putSnapshotFile(
  dataDir: string,
  { name, bytes }: SnapshotFile,
  owner: Owner | undefined,
): Promise<void> {
  const path = join(dataDir, "pg_logical", "snapshots", name);
  if (!(await exists(path))) await writeDurable(path, bytes, { owner });
}

/** For a server that does not run: it finds the slot at its next start. Whole or not at all. */
export async function putSlotFile(
  dataDir: string,
  { name, bytes }: SlotFile,
  owner: Owner | undefined,
): Promise<void> {
  const folder = join(dataDir, "pg_replslot");
  const [dir, next] = [join(folder, name), join(folder, `${name}.new`)];
  if (await exists(dir)) return;
  // The server removes what ends in .tmp, and refuses to start over anything else it cannot read.
  await removeTree(`${next}.tmp`);
  await makeDirectory(`${next}.tmp`, { owner });
  await writeDurable(join(`${next}.tmp`, "state"), bytes, { owner });
  await rename(`${next}.tmp`, dir);
  await syncDirectory(folder);
}
