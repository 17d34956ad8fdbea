/** The loser of a failover goes back to the primary's history: rewound when that is proved right, copied otherwise. */

import { rename } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ACTS } from "../../src/agent/acts.ts";
import { classify } from "../../src/agent/disk.ts";
import { fenceServer, stopServer } from "../../src/agent/servers.ts";
import { monotonicClock } from "../../src/clock/clock.ts";
import { stampChain } from "../../src/db/data-server.ts";
import { createLog } from "../../src/log/logger.ts";
import { exists, removeTree, writeDurable } from "../../src/postgres/files.ts";
import { startServer, waitReady } from "../../src/postgres/server.ts";
import { hasStandbySignal, putStandbySignal, readSettings } from "../../src/postgres/settings.ts";
import { mustRun } from "../support/programs.ts";
import { failOver } from "./fail-over.ts";
import { type Bench, type Node, openPair, orderFor, sql, untilStreaming } from "./harness.ts";

let bench: Bench;

beforeAll(async () => {
  bench = await openPair(createLog({}, { level: process.env.AGENT_LOG ?? "fatal" }));
}, 60_000);
afterAll(() => bench?.stop(), 60_000);

const marks = (node: Node) => node.kept.acts.map(({ event }) => event);
const rowsOf = (node: Node) => sql<{ n: number }>(node, "select n from t where n = 100");

test("WAL that nobody received is rewound, and the node joins with the same stamps", async () => {
  const [first, second] = [bench.node(1), bench.node(2)];
  await failOver(bench, first, second);
  await ACTS.start(first.agent, orderFor(first));
  expect(await rowsOf(first)).toHaveLength(500);
  await ACTS.follow(first.agent, orderFor(first));
  expect(first.agent.state.rejoin).toMatchObject({ by: "rewind" });
  await ACTS.rewind(first.agent, orderFor(first));
  expect(marks(first)).toContain("rewound");
  expect((await classify(first.agent)).kind).toBe("joining");
  expect(await exists(first.agent.paths.marker)).toBe(false);
  expect(await hasStandbySignal(first.agent.paths.dataDir)).toBe(true);
  expect((await readSettings(first.agent.paths.dataDir)).port).toBe(`${first.port}`);

  await ACTS.join(first.agent, orderFor(first));
  await untilStreaming(first);
  expect(await rowsOf(first)).toEqual([]);
  const chain = "select epoch::int, stamp_id from pgreplica.stamp order by epoch";
  expect(await sql(first, chain)).toEqual(await sql(second, chain));
  const slots = "select slot_name from pg_replication_slots";
  expect(await sql(first, slots)).toEqual([{ slot_name: "pgreplica_2" }]);
}, 60_000);

/** Started by hand as an operator might, its signal file removed or not; ends as it was told to. */
async function byHand(node: Node, signalFile: "kept" | "removed", statement?: string) {
  const { binaries, owner, paths } = node.agent;
  if (signalFile === "removed") await removeTree(join(paths.dataDir, "standby.signal"));
  else await putStandbySignal(paths.dataDir, owner);
  const { dataDir, logFile } = paths;
  const server = await startServer({ binaries, dataDir, owner, logFile });
  await waitReady(server, { clock: monotonicClock, limitMs: 10_000 });
  if (statement !== undefined) await sql(node, statement);
  await server.stop("fast", 10_000);
}

test("a standby that was started without its signal file is known by what it leaves (H40)", async () => {
  const first = bench.node(1);
  await fenceServer(first.agent, "test");
  await byHand(first, "removed", "update pgreplica.stamp set stamp_id = gen_random_uuid()");
  expect((await classify(first.agent)).kind).toBe("rogue");
  await expect(ACTS.start(first.agent, orderFor(first))).resolves.toBeUndefined();
}, 60_000);

test("another history under the same timeline number is found out before it counts (H02)", async () => {
  const [first, second] = [bench.node(1), bench.node(2)];
  // Its own WAL goes on where the primary's does, and the primary has written more since.
  await sql(second, "insert into t select generate_series(1, 20000)");
  expect((await classify(first.agent)).kind).toBe("ours");
  await ACTS.follow(first.agent, orderFor(first));
  expect(first.agent.state.rejoin).toMatchObject({ epoch: 2n, by: "copy" });
  expect((await classify(first.agent)).kind).toBe("marked");
  const seen = await sql(second, "select application_name from pg_stat_replication");
  expect(seen).toEqual([]);
  await ACTS.clone(first.agent, orderFor(first));
  await ACTS.join(first.agent, orderFor(first));
  await untilStreaming(first);
}, 90_000);

test("an older copy of the data that is put back is no data of this node (F34)", async () => {
  const first = bench.node(1);
  const { dataDir } = first.agent.paths;
  await stopServer(first.agent);
  await mustRun("cp", ["-a", dataDir, `${dataDir}.backup`]);
  await ACTS.start(first.agent, orderFor(first));
  await stopServer(first.agent);
  expect((await classify(first.agent)).kind).toBe("ours");
  await removeTree(dataDir);
  await rename(`${dataDir}.backup`, dataDir);
  expect((await classify(first.agent)).kind).toBe("older");
  await ACTS.clone(first.agent, orderFor(first));
  await ACTS.join(first.agent, orderFor(first));
  await untilStreaming(first);
  expect((await classify(first.agent)).kind).toBe("ours");
}, 60_000);

test("what is left of an interrupted rewind is never started, only copied over", async () => {
  const first = bench.node(1);
  await fenceServer(first.agent, "test");
  await writeDurable(first.agent.paths.marker, "{}\n", { owner: bench.owner });
  await expect(ACTS.start(first.agent, orderFor(first))).rejects.toThrow(/forbids a start/);
  expect((await classify(first.agent)).kind).toBe("marked");
  await ACTS.clone(first.agent, orderFor(first));
  await ACTS.join(first.agent, orderFor(first));
  await untilStreaming(first);
}, 60_000);

test("the chain of stamps is ordered as numbers: ten comes after nine", async () => {
  const { cluster_id: clusterId } = bench.node(2).agent.view;
  const { db } = await bench.node(2).agent.hands.get();
  await db.query("begin");
  await db.query(
    `insert into pgreplica.stamp (cluster_id, epoch, node_id, timeline, switch_lsn, stamp_id)
     select $1, n, 2, n + 1, '0/1', gen_random_uuid() from generate_series(9, 11) as n`,
    [clusterId],
  );
  const epochs = (await stampChain(db, clusterId)).map(({ epoch }) => epoch);
  await db.query("rollback");
  expect(epochs.slice(-3)).toEqual([9n, 10n, 11n]);
}, 60_000);
