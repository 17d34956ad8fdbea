/** `src/jobs/long-work.ts`: a base backup over the simulated network; there is no pg_rewind here. */
import { currentProc } from "../engine.ts";
import type { DataServer } from "../model/data-server.ts";
import { historyName, type PgData } from "../model/wal.ts";
import { world } from "../world.ts";

export interface BackupOptions {
  readonly host: string;
  readonly port: number;
  readonly dir: string;
  readonly signal: AbortSignal;
  readonly expectSystemIdentifier?: string;
  readonly onProgress?: (done: bigint, total: bigint | undefined) => void;
}

export class BaseBackupFailed extends Error {
  override readonly name = "BaseBackupFailed";
}

const CHUNKS = 6;

export function longWork() {
  return {
    copy: takeBaseBackup,
    rewind: async () => {
      throw new Error("pg_rewind is not simulated");
    },
  };
}

async function takeBaseBackup(options: BackupOptions) {
  const { engine, files, network } = world();
  const { host, port, dir, signal } = options;
  const own = currentProc()?.node ?? 0;
  signal.throwIfAborted();
  const from = network.nodeOf(host, own);
  const source = () => network.service(`${host}:${port}`) as DataServer | undefined;
  const server = source();
  const reaches = () =>
    source() === server &&
    !network.isCut(own, from) &&
    !network.isCut(from, own) &&
    !network.dark.has(from);
  if (server === undefined || !reaches() || server.work.paused) {
    await engine.sleep(200, "backup.refused");
    throw new BaseBackupFailed(`base backup of ${host}:${port}: not reached`);
  }
  const { data } = server;
  if (
    options.expectSystemIdentifier !== undefined &&
    options.expectSystemIdentifier !== data.systemIdentifier
  ) {
    throw new BaseBackupFailed("another system");
  }
  const started = data.end();
  const { inRecovery } = server;
  // PostgreSQL makes a restartpoint first, and the copy of a standby is sure to reach no further.
  const until = inRecovery ? data.checkpointLsn : Number.POSITIVE_INFINITY;
  // Half a copy is on disk from the first byte on.
  const partial = data.copy();
  partial.torn = true;
  writeCopy(dir, partial);
  for (let chunk = 0; chunk < CHUNKS; chunk += 1) {
    await engine.sleep(engine.random("disk").between(30, 250), "backup.chunk");
    signal.throwIfAborted();
    if (!reaches() || server.work.dead) throw new BaseBackupFailed("the connection was lost");
    if (inRecovery && !server.inRecovery) throw new BaseBackupFailed("the standby was promoted");
    options.onProgress?.(BigInt(chunk), BigInt(CHUNKS));
  }
  const whole = data.copy();
  whole.wal = whole.wal.filter(({ end }) => end <= until);
  whole.slots.clear();
  whole.state = "in_archive_recovery";
  whole.timeline = whole.lastTimeline();
  whole.partial = 0;
  writeCopy(dir, whole);
  for (let number = 2; number <= server.timeline(); number += 1) {
    const text = files.find(`${server.dataDir}/pg_wal/${historyName(number)}`)?.text;
    if (text !== undefined) files.write(`${dir}/pg_wal/${historyName(number)}`, text);
  }
  for (const name of ["postgresql.conf", "pgreplica.conf"]) {
    files.write(`${dir}/${name}`, files.find(`${server.dataDir}/${name}`)?.text ?? "");
  }
  return {
    startLsn: BigInt(started),
    endLsn: BigInt(whole.end()),
    timeline: whole.lastTimeline(),
    endTimeline: whole.lastTimeline(),
    systemIdentifier: data.systemIdentifier,
    tablespaces: [],
    bytes: 1n,
  };
}

function writeCopy(dir: string, data: PgData): void {
  const { files } = world();
  files.write(`${dir}/PG_VERSION`, "17\n");
  files.write(`${dir}/global/pg_control`, "", data);
  files.makeFolder(`${dir}/pg_wal`);
}
