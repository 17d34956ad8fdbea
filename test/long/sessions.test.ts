/**
 * What sessions hold when the primary goes (W7): an open transaction is undone, a prepared one that was acknowledged is
 * there with its locks, an advisory lock ends with its session. And a crowd that hangs up without a word (W9).
 */
import { afterEach, expect, test } from "vitest";
import { monotonicClock } from "../../src/clock/clock.ts";
import { expectWithin, useCluster } from "../support/fixture.ts";
import { onPrimary, untilHealthy } from "../support/health.ts";
import { type Fault, inject } from "../support/inject.ts";
import { startTwoPhase } from "../support/load/two-phase.ts";
import { Random } from "../support/random.ts";
import { nextWriter } from "../support/round.ts";
import { errorOf, hangUp, open, rows, sqlstate, value } from "../support/sql.ts";
import { until } from "../support/until.ts";
import { createWriterTable, startWriter } from "../support/writer.ts";

const cluster = useCluster({
  env: { PG_REPLICA_DATA_SETTINGS: "{ max_prepared_transactions: 400 }" },
});

const ended: (() => Promise<unknown> | undefined)[] = [];
afterEach(async () => {
  for (const end of ended.splice(0)) await end();
});

const uriOf = (id: number) => cluster().node(id).data.uri;

/** A client with an open transaction, an advisory lock of its session, and a row that a prepared one has locked. */
async function holdThings(primary: number, key: number) {
  await onPrimary(cluster(), "create table if not exists held (key integer, what text)");
  await onPrimary(cluster(), "insert into held values ($1, 'before')", [key]);
  const client = await open(uriOf(primary));
  ended.push(async () => hangUp(client));
  await client.query("begin");
  await client.query("update held set what = 'prepared' where key = $1", [key]);
  await client.query(`prepare transaction 'held-${key}'`);
  await client.query("select pg_advisory_lock($1)", [key]);
  await client.query("begin");
  await client.query("insert into held values ($1, 'open')", [key]);
  return client;
}

const heldNow = async (id: number, key: number) =>
  (
    await rows<{ what: string }>(uriOf(id), "select what from held where key = $1 order by 1", [
      key,
    ])
  ).map(({ what }) => what);

test.each<[Fault, number]>([
  ["kill node", 1],
  ["switchover", 2],
  ["kill postmaster", 3],
  ["freeze node", 4],
  ["kill data server", 5],
])("%s: what was prepared is there, what was open is not", async (fault, key) => {
  const before = await untilHealthy(cluster());
  const load = await startTwoPhase(cluster());
  const client = await holdThings(before.primary, key);
  await monotonicClock.sleep(2000);
  const heal = await inject(cluster(), fault, before);
  await monotonicClock.sleep(4000);
  heal();
  const { primary, standbys, epoch } = await untilHealthy(cluster());
  expect(epoch).toBeGreaterThan(before.epoch);
  await load.stop();

  const { told, wrong, prepared } = await load.judge(uriOf(primary));
  console.log(`${fault}: ${JSON.stringify(told)}`);
  expect(wrong).toEqual([]);
  expect(told["commit ok"]).toBeGreaterThan(20);
  expect(told["prepare ok"]).toBeGreaterThan(5);

  // The session is gone, and with it all that it held but for what was prepared.
  await errorOf(client.query("commit"));
  expect(await heldNow(primary, key)).toEqual(["before"]);
  expect(await value(uriOf(primary), "select pg_try_advisory_lock($1)", [key])).toBe("true");
  const locked = "select 1 from held where key = $1 for update nowait";
  expect(sqlstate(await errorOf(rows(uriOf(primary), locked, [key])))).toBe("55P03");
  for (const gid of [...prepared, `held-${key}`]) {
    await rows(uriOf(primary), `commit prepared '${gid}'`);
  }
  await rows(uriOf(primary), locked, [key]);
  for (const id of [primary, ...standbys]) {
    await until(`node ${id} has them`, { limitMs: 10_000 }, async () => {
      const missing = `select array_length($1::text[], 1) is distinct from count(*) from two_phase where gid = any ($1)`;
      const lacks = prepared.length > 0 && (await value(uriOf(id), missing, [prepared])) === "true";
      return !lacks && (await heldNow(id, key)).join() === "prepared";
    });
  }
});

/** Connects, writes or reads, and is gone without a farewell, at any moment. */
async function hangUpAgain(random: Random, n: number, isOver: () => boolean): Promise<number> {
  let times = 0;
  while (!isOver()) {
    const { uri } = cluster().nodes[random.int(0, 2)]?.data ?? { uri: "" };
    try {
      const client = await open(uri, { connectMs: 500, answerMs: 2000 });
      const asked = client.query("insert into storm values ($1)", [n]).catch(() => undefined); // its answer is nobody's
      await monotonicClock.sleep(random.int(0, 15));
      hangUp(client);
      await asked;
      times += 1;
    } catch {
      await monotonicClock.sleep(20); // refused, or nobody there
    }
  }
  return times;
}

test("forty clients that hang up again and again: the primary is replaced meanwhile, and they leave nothing", async () => {
  const seed = process.env.SEED ?? String(Date.now() % 100_000);
  console.log(`SEED=${seed}`);
  const before = await untilHealthy(cluster());
  await onPrimary(cluster(), "create table storm (n integer)");
  await createWriterTable(uriOf(before.primary));
  const writer = startWriter({ hosts: cluster().dataUris(), writer: nextWriter(), everyMs: 5 });
  ended.push(() => writer.stop());
  await writer.untilAcknowledged(50, 10_000);
  let isOver = false;
  const storm = Array.from({ length: 40 }, (_, n) =>
    hangUpAgain(new Random(`${seed}/${n}`), n, () => isOver),
  );
  await monotonicClock.sleep(2000);
  const { at } = cluster().killNode(before.primary);
  const ack = await writer.nextAckOverNewConnection(at, 30_000);
  expectWithin("first write in the storm", ack.at - at, 5000);
  await monotonicClock.sleep(5000);
  isOver = true;
  const times = (await Promise.all(storm)).reduce((sum, one) => sum + one, 0);
  const { primary } = await untilHealthy(cluster());
  console.log(`hung up ${times} times`);
  expect(times).toBeGreaterThan(200);
  await writer.stop();
  expect(await writer.check(uriOf(primary))).toMatchObject({ lost: [], invented: [] });
  await until("their sessions are gone", { limitMs: 10_000 }, async () => {
    const left =
      "select count(*) from pg_stat_activity where application_name = 'outside' and pid <> pg_backend_pid()";
    return (await value(uriOf(primary), left)) === "0";
  });
});
