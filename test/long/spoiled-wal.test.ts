/**
 * WAL that a standby has received and not replayed is spoiled on its disk. PostgreSQL ends the receiver, asks for the
 * same WAL again, and reads the spoiled one before it comes, for ever: only a new copy helps, made by itself.
 */
import { open, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { expectWithin, useCluster } from "../support/fixture.ts";
import { untilHealthy } from "../support/health.ts";
import { nextWriter } from "../support/round.ts";
import { rows, value } from "../support/sql.ts";
import { until } from "../support/until.ts";
import { createWriterTable, startWriter } from "../support/writer.ts";

const cluster = useCluster();

/** So much is received beyond what is replayed, and spoiled somewhere in its midst. */
const AHEAD_BYTES = 100_000;

test("a standby whose received WAL is spoiled is copied anew; nobody waits for it", async () => {
  const { primary, standbys } = await untilHealthy(cluster());
  const [id = 0] = standbys;
  const { uri, dir } = cluster().node(id).data;
  const primaryUri = cluster().node(primary).data.uri;
  await createWriterTable(primaryUri);
  const writer = startWriter({ hosts: cluster().dataUris(), writer: nextWriter(), everyMs: 2 });
  try {
    await writer.untilAcknowledged(50, 10_000);
    await rows(uri, "select pg_wal_replay_pause()");
    await until("replay is paused", { limitMs: 10_000 }, async () => {
      return (await value(uri, "select pg_get_wal_replay_pause_state()")) === "paused";
    });
    const ahead = `select pg_last_wal_receive_lsn() - pg_last_wal_replay_lsn() > ${AHEAD_BYTES}`;
    await until("enough is received", { limitMs: 30_000 }, async () => {
      return (await value(uri, ahead)) === "true";
    });
    const replayed = await value(uri, "select pg_last_wal_replay_lsn()");
    const [place] = await rows<{ file_name: string; file_offset: number }>(
      primaryUri,
      `select * from pg_walfile_name_offset($1::pg_lsn + ${AHEAD_BYTES / 2})`,
      [replayed],
    );
    if (place === undefined) throw new Error("no place in the WAL");
    const wal = await open(join(dir, "pg_wal", place.file_name), "r+");
    await wal.write(Buffer.alloc(64, 0xff), 0, 64, place.file_offset);
    await wal.close();
    const since = performance.now();
    await rows(uri, "select pg_wal_replay_resume()");
    const log = join(dirname(dir), "log", "worker.log");
    await until("it asks for a new copy", { limitMs: 70_000, everyMs: 200 }, async () => {
      return (await readFile(log, "utf8")).includes("though the primary has what it needs");
    });
    await untilHealthy(cluster());
    expectWithin("whole again", performance.now() - since, 60_000, 0, 120_000);
    expectWithin("longest write gap", writer.gapSince(since).ms, 2000);
    await writer.stop();
    const after = await untilHealthy(cluster());
    expect(after.primary).toBe(primary);
    expect(await writer.check(uri)).toMatchObject({ lost: [], invented: [] });
  } finally {
    await writer.stop();
  }
});
