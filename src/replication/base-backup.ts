/** Takes a base backup over the replication protocol: no program of PostgreSQL is needed for it. */

import { mkdir, open, readdir, readFile, stat, statfs } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Clock } from "../clock/clock.ts";
import type { TlsFiles } from "../config/tls.ts";
import { formatLsn, type Lsn, parseLsn } from "../core/ids.ts";
import { parseBackupLabel } from "./backup-label.ts";
import { BackupReader } from "./backup-reader.ts";
import { field, identify, type Target } from "./commands.ts";
import { type Connection, type CopyOut, connect, type ResultSet } from "./connection.ts";
import { ServerError } from "./errors.ts";
import { literal } from "./quote.ts";
import { describe } from "./socket.ts";
import { planTls } from "./tls.ts";
import { type FileOwner, TreeWriter } from "./tree-writer.ts";

export interface BaseBackupOptions extends Omit<Target, "tls"> {
  /** Read when the backup begins; with them it comes from a server that was checked as verify-full. */
  readonly tlsFiles?: TlsFiles | undefined;
  /** Absent or empty; made 0700. After a failure it is left as it is, for the caller to remove. */
  readonly dir: string;
  /** Who shall own the files; default: we ourselves. */
  readonly owner?: FileOwner | undefined;
  /** One line, shown in `backup_label` and in the server's log. */
  readonly label: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Bytes received and expected, at most ten times a second; a total grows with the WAL. */
  readonly onProgress?: ((done: bigint, total: bigint | undefined) => void) | undefined;
  /** Checkpoint at once instead of spread over minutes; default true. */
  readonly fast?: boolean | undefined;
  /** Refuse the backup of any other cluster than this. */
  readonly expectSystemIdentifier?: string | undefined;
  /** Of the programs that are to run on the copy. */
  readonly expectMajor?: number | undefined;
  /** The longest silence of the server; default 60 s. */
  readonly silenceLimitMs?: number | undefined;
  /** The longest wait for the checkpoint it begins with; default 15 min. */
  readonly startLimitMs?: number | undefined;
}

export interface BaseBackup {
  /** Where recovery begins, as `backup_label` says. */
  readonly startLsn: Lsn;
  /** Up to here the backup is not consistent; its own WAL reaches that far. */
  readonly endLsn: Lsn;
  readonly timeline: number;
  /** Of its end: where it was taken from a standby, that may have gone on to another meanwhile. */
  readonly endTimeline: number;
  readonly systemIdentifier: string;
  /** Object ids of the tablespaces, now real directories below `pg_tblspc`. */
  readonly tablespaces: readonly string[];
  /** Bytes received. */
  readonly bytes: bigint;
}

/** What could not be done and why; the cause keeps the server's SQLSTATE or the system's code. */
export class BaseBackupFailed extends Error {
  override readonly name = "BaseBackupFailed";
}

/** The syntax with options in parentheses, and one copy for all archives. */
const OLDEST_MAJOR = 15;
const START_LIMIT_MS = 15 * 60_000;
const SILENCE_LIMIT_MS = 60_000;
const PROGRESS_EVERY_MS = 100;
/** The announced total holds no WAL: what a checkpoint and a backup write at least. */
const WAL_RESERVE_BYTES = 64n * 1024n * 1024n;

/**
 * Stream a base backup with its WAL into `dir`, and force every file and directory to disk.
 *
 * The result starts as it is; the caller adds `standby.signal` and its own configuration first.
 * A tablespace becomes a real directory at `pg_tblspc/<oid>` (in place), wherever it lies on the
 * source: nodes that share a host cannot share its path, and one directory can be swapped in or
 * removed as a whole. PostgreSQL starts with such directories only under
 * `allow_in_place_tablespaces = on`, which the caller's configuration must hold.
 *
 * Throws BaseBackupFailed, or the signal's reason. H04: the caller's marker guards a partial one.
 */
export async function takeBaseBackup(options: BaseBackupOptions): Promise<BaseBackup> {
  const target = { ...options, dir: resolve(options.dir) };
  try {
    await prepareDirectory(target);
    return await inSession(target);
  } catch (error) {
    if (options.signal.aborted) throw options.signal.reason;
    const from = describe(options);
    const why = error instanceof Error ? error.message : String(error);
    throw new BaseBackupFailed(`base backup of ${from} into ${target.dir} failed: ${why}`, {
      cause: error,
    });
  }
}

async function inSession(options: BaseBackupOptions): Promise<BaseBackup> {
  const { tlsFiles, host } = options;
  const tls = tlsFiles && (await planTls({ ...tlsFiles, mode: "verify-full" }, host));
  const connection = await connect({
    ...options,
    tls,
    replication: "physical",
    applicationName: options.applicationName ?? "pg_replica base backup",
  });
  try {
    const backup = await receive(connection, options);
    await connection.close();
    return backup;
  } finally {
    connection.destroy(new Error("the base backup is over"));
  }
}

async function receive(connection: Connection, options: BaseBackupOptions): Promise<BaseBackup> {
  const { dir, owner } = options;
  const { systemIdentifier } = await identifyExpected(connection, options);
  await keepWal(connection);
  const copy = await connection.copyOut(baseBackupCommand(options), {
    silenceLimitMs: options.startLimitMs ?? START_LIMIT_MS,
  });
  const { results } = copy;
  const [start, tablespaces] = results;
  const total = announcedBytes(tablespaces);
  await checkSpace(dir, total);
  const writer = new TreeWriter(dir, owner);
  try {
    const reader = new BackupReader(writer, oids(tablespaces));
    await pump(copy, reader, options, total);
    const endLsn = parseLsn(field(results[2], 0, "recptr"));
    const endTimeline = Number(field(results[2], 0, "tli"));
    await writer.finish();
    const label = await verify(dir, start);
    const { bytes } = reader;
    const where = { ...label, endLsn, endTimeline, systemIdentifier };
    return { ...where, tablespaces: oids(tablespaces), bytes };
  } finally {
    await writer.abandon();
  }
}

/** Move pieces from the server to the disk; never more of them in memory than the writer allows. */
async function pump(
  copy: CopyOut,
  reader: BackupReader,
  { clock, onProgress, silenceLimitMs = SILENCE_LIMIT_MS }: BaseBackupOptions,
  announced: bigint,
): Promise<void> {
  const report = () => onProgress?.(reader.bytes, max(announced, reader.bytes));
  let toldAt = Number.NEGATIVE_INFINITY;
  for (;;) {
    const piece = await copy.next(silenceLimitMs);
    if (piece === undefined) break;
    await reader.take(piece);
    if (reader.bytes === 0n || clock.now() - toldAt < PROGRESS_EVERY_MS) continue;
    toldAt = clock.now();
    report();
  }
  reader.finish();
  report();
}

const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);

async function prepareDirectory({ dir, owner }: BaseBackupOptions): Promise<void> {
  await mkdir(dir, { mode: 0o700 }).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
    if ((await readdir(dir)).length > 0) throw new Error("the directory is not empty");
  });
  const handle = await open(dir, "r");
  try {
    await handle.chmod(0o700);
    if (owner !== undefined) await handle.chown(owner.uid, owner.gid);
  } finally {
    await handle.close();
  }
}

async function identifyExpected(connection: Connection, options: BaseBackupOptions) {
  if (connection.majorVersion < OLDEST_MAJOR) {
    const found = connection.parameters.get("server_version");
    throw new Error(`the server is PostgreSQL ${found}, at least ${OLDEST_MAJOR} is needed`);
  }
  const { expectSystemIdentifier: expected, expectMajor: ours = connection.majorVersion } = options;
  if (connection.majorVersion !== ours) {
    const theirs = connection.majorVersion;
    throw new Error(`the server is PostgreSQL ${theirs}, this node's programs are ${ours}`);
  }
  const identity = await identify(connection);
  if (expected !== undefined && expected !== identity.systemIdentifier) {
    const found = identity.systemIdentifier;
    throw new Error(`the server belongs to another cluster: ${found}, expected ${expected}`);
  }
  return identity;
}

/**
 * A slot that lives as long as this session keeps the WAL the backup will need. Without a free
 * slot the backup is tried all the same: the server notices WAL that is gone, and says so.
 */
async function keepWal(connection: Connection): Promise<void> {
  const slot = `pgreplica_backup_${connection.backendPid}`;
  try {
    await connection.query(`CREATE_REPLICATION_SLOT "${slot}" TEMPORARY PHYSICAL (RESERVE_WAL)`);
  } catch (error) {
    const noSlots = error instanceof ServerError && ["53400", "55000"].includes(error.code);
    if (!noSlots) throw error;
  }
}

function baseBackupCommand({ label, fast = true }: BaseBackupOptions): string {
  if (!/^[^\p{Cc}]{1,200}$/u.test(label)) throw new Error("the label must be one line of text");
  const options = [
    `LABEL ${literal(label)}`,
    "PROGRESS true",
    `CHECKPOINT '${fast ? "fast" : "spread"}'`,
    "WAL true",
    "WAIT false",
    // With true, PostgreSQL 15 and 16 leave out what lies in place on the source (they skip all
    // below pg_tblspc); with false the symlinks come along, and we pass over them.
    "TABLESPACE_MAP false",
  ];
  return `BASE_BACKUP (${options.join(", ")})`;
}

/** One row for each tablespace, in kilobytes; the one without an oid is the data directory. */
function announcedBytes(tablespaces: ResultSet | undefined): bigint {
  const at = tablespaces?.fields.indexOf("size") ?? -1;
  return (tablespaces?.rows ?? []).reduce((sum, row) => sum + BigInt(row[at] ?? 0) * 1024n, 0n);
}

function oids(tablespaces: ResultSet | undefined): readonly string[] {
  const at = tablespaces?.fields.indexOf("spcoid") ?? -1;
  return (tablespaces?.rows ?? []).flatMap((row) => row[at] ?? []);
}

async function checkSpace(dir: string, total: bigint): Promise<void> {
  const { bavail, bsize } = await statfs(dir, { bigint: true });
  const free = bavail * bsize;
  const needed = total + WAL_RESERVE_BYTES;
  if (free >= needed) return;
  throw new Error(`${megabytes(needed)} MB are needed there, ${megabytes(free)} MB are free`);
}

const megabytes = (bytes: bigint): bigint => bytes / (1024n * 1024n);

/** What must be there, and say the same as the server did. */
async function verify(dir: string, start: ResultSet | undefined) {
  const label = parseBackupLabel(await readFile(join(dir, "backup_label"), "utf8"));
  const begun = { startLsn: parseLsn(field(start, 0, "recptr")), timeline: field(start, 0, "tli") };
  if (label.startLsn !== begun.startLsn || String(label.timeline) !== begun.timeline) {
    const found = `${formatLsn(label.startLsn)} on timeline ${label.timeline}`;
    const announced = `${formatLsn(begun.startLsn)} on timeline ${begun.timeline}`;
    throw new Error(`backup_label says ${found}, the server began at ${announced}`);
  }
  await stat(join(dir, "global", "pg_control"));
  return label;
}
