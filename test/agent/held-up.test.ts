/** Replay that is paused, or waits for readers, ends all the same once the member is asked for a report (H22, F49). */
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ACTS } from "../../src/agent/acts.ts";
import { waitUntil } from "../../src/clock/clock.ts";
import { connect } from "../../src/db/connect.ts";
import { pledged } from "./fail-over.ts";
import { type Bench, openPair, sql, within } from "./harness.ts";

let bench: Bench;

beforeAll(async () => {
  bench = await openPair();
}, 60_000);
afterAll(() => bench?.stop(), 60_000);

/** A session on the standby that nobody looks after, in the middle of a transaction. */
async function reader(begin: string, table: string) {
  const { dir, port } = bench.node(2);
  const host = join(dir, "run", "data");
  const at = { host, port, user: "postgres", applicationName: "reader", connectLimitMs: 3000 };
  const client = await connect(at);
  client.on("error", () => undefined); // it is ended: that is what is tested
  await client.query(begin);
  await client.query(`select * from ${table}`);
  return client;
}

test("a pause, a lock held by an idle transaction, and an old snapshot do not hold a report up", async () => {
  const [first, second] = [bench.node(1), bench.node(2)];
  await sql(first, "create table in_the_way as select 1 as n");
  await waitUntil("the table is there", within(10_000), async () => {
    const [row] = await sql<{ there: boolean }>(
      second,
      "select to_regclass('in_the_way') is not null as there",
    );
    return row?.there;
  });
  const readers = [
    await reader("begin", "in_the_way"),
    await reader("begin isolation level repeatable read", "in_the_way"),
  ];
  await sql(first, "drop table in_the_way");
  await waitUntil("replay waits", within(10_000), async () => {
    const [row] = await sql<{ n: number }>(
      second,
      "select count(*)::int as n from pg_locks where not granted",
    );
    return row?.n === 1;
  });
  await sql(second, "select pg_wal_replay_pause()");
  await sql(first, "insert into t values (7)");
  // It gives up before max_standby_streaming_delay is over.
  await ACTS.report(second.agent, pledged(bench, second));
  expect(await sql(second, "select from t where n = 7")).toHaveLength(1);
  for (const one of readers) await one.end();
}, 60_000);
