/**
 * One transaction of a gigabyte goes through a consumer that may use 200 MB: nothing of it is gathered on the way. The
 * options keep small what V8 lets lie about of what it could have thrown away.
 */
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Drained, Task } from "../../bench/replication-drain.ts";
import { openBench } from "../logical/bench.ts";
import { mustRun, PROJECT } from "../support/programs.ts";

const ROWS = 16_384;
const LIMIT_MB = 200;

test("a gigabyte in one transaction, in 200 MB", async () => {
  const bench = await openBench(undefined, { fsync: "off", max_wal_size: "4GB" });
  try {
    const { slot = "" } = await bench.slot();
    const { host, port, user } = bench.server;
    await bench.server.sql(
      `insert into t select i, repeat('x', 65536) from generate_series(1, ${ROWS}) i`,
    );
    const task: Task = { contestant: "ours", host, port, user, slot, rows: ROWS };
    const program = join(PROJECT, "bench", "replication-drain.ts");
    const own = [
      "--max-old-space-size=64",
      "--max-semi-space-size=2",
      program,
      JSON.stringify(task),
    ];
    const drained = JSON.parse(
      await mustRun(process.execPath, own, { limitMs: 300_000 }),
    ) as Drained;
    expect(drained.rows).toBe(ROWS);
    console.log(
      `${((ROWS * 65_536) / 1000 / drained.ms).toFixed(0)} MB/s, resident ${drained.residentMb} MB`,
    );
    expect(Math.max(...drained.residentMb)).toBeLessThan(LIMIT_MB);
  } finally {
    await bench.lab.close();
  }
}, 400_000);
