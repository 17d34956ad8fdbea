/** Roles are exchanged under eight writing clients: nothing lost, nothing rebuilt, hardly a pause. */
import { stat } from "node:fs/promises";
import { expect, test } from "vitest";
import { expectWithin, useCluster } from "../support/fixture.ts";
import { fully } from "../support/fully.ts";
import { untilHealthy } from "../support/health.ts";
import { watchLag } from "../support/lag.ts";
import { startWriters } from "../support/round.ts";
import { rows, value } from "../support/sql.ts";
import { createWriterTable } from "../support/writer.ts";

const cluster = useCluster();
const SWITCHOVERS = fully ? 20 : 6;
/** Bound of one sample, milliseconds. */
const LIMIT_MS = 2000;

/** A clone comes in a new directory: the same inode shows that there was none. */
async function inodes(): Promise<number[]> {
  const all = cluster().nodes.map(async ({ data }) => (await stat(data.dir)).ino);
  return await Promise.all(all);
}

interface Request extends Record<string, unknown> {
  readonly state: string;
  readonly from_node: number;
  readonly to_node: number;
  readonly write_gap_ms: number;
}

test("several switchovers under eight writers lose no row, rewind and clone no node", async () => {
  const first = await untilHealthy(cluster());
  await createWriterTable(cluster().node(first.primary).data.uri);
  const before = await inodes();
  const writers = startWriters(8, cluster().dataUris());
  const gaps: number[] = [];
  const lag = watchLag();
  try {
    for (let round = 0; round < SWITCHOVERS; round++) {
      const { primary, standbys } = await untilHealthy(cluster());
      const target = standbys[round % standbys.length] ?? 0;
      await Promise.all(writers.map((writer) => writer.untilAcknowledged(20, 10_000)));
      const since = performance.now();
      const asked = cluster().node(standbys[0] ?? 0).control.uri;
      const [request] = await rows<Request>(
        asked,
        "select * from pg_replica.switchover($1::integer)",
        [target],
      );
      expect(request).toMatchObject({ state: "done", from_node: primary, to_node: target });
      await Promise.all(writers.map((writer) => writer.untilAcknowledged(20, 10_000)));
      gaps.push(Math.max(...writers.map((writer) => writer.gapSince(since).ms)));
      expect((await untilHealthy(cluster())).primary).toBe(target);
    }
  } finally {
    await Promise.all(writers.map((writer) => writer.stop()));
  }
  const { primary } = await untilHealthy(cluster());
  for (const writer of writers) {
    const result = await writer.check(cluster().node(primary).data.uri);
    expect(result).toMatchObject({ lost: [], invented: [] });
  }
  console.log(`write gaps, ms: ${gaps.map(Math.round).join(" ")}`);
  expectWithin("longest gap", Math.max(...gaps), LIMIT_MS, lag.stop());
  expect(await inodes()).toEqual(before);
  const rewound = "select count(*) from pg_replica.events(0, 10000) where event = 'rewound'";
  expect(await value(cluster().node(primary).control.uri, rewound)).toBe("0");
});
