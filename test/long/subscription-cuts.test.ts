/**
 * Twenty failovers, the subscription to the leader cut at each: every epoch is told once, in order, and after each
 * move a gap comes before anything that was sent there.
 */
import { expect, test } from "vitest";
import { createPool, type Heard, type Primary } from "../../src/client/index.ts";
import { clientOptions } from "../support/client-load.ts";
import { useCluster } from "../support/fixture.ts";
import { untilHealthy } from "../support/health.ts";
import { value } from "../support/sql.ts";
import { until } from "../support/until.ts";

const ROUNDS = Number(process.env.ROUNDS ?? 20);
const NAME = "subscriber";

const cluster = useCluster();

/** Every session of the subscriber, on every control store; how many there were. */
async function cut(): Promise<number> {
  const end = `select count(pg_terminate_backend(pid)) from pg_stat_activity
    where application_name = '${NAME}'`;
  const all = await Promise.all(
    cluster()
      .controlUris()
      .map((uri) => value(uri, end)),
  );
  return all.reduce<number>((sum, one) => sum + Number(one), 0);
}

function subscriptions(): string[] {
  return cluster()
    .controlUris()
    .map((uri) => {
      const url = new URL(uri);
      url.searchParams.set("application_name", NAME);
      return url.href;
    });
}

test(`${ROUNDS} failovers, the subscription cut at each`, async () => {
  const { epoch } = await untilHealthy(cluster());
  const pool = createPool({ ...clientOptions(cluster()), control: subscriptions() });
  const told: Primary[] = [];
  pool.onPrimary((primary) => told.push(primary));
  const heard: Heard[] = [];
  await pool.listen("news", (one) => heard.push(one));
  const owed: bigint[] = [epoch];
  let cuts = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = await untilHealthy(cluster());
    await until("the one there is was told", { limitMs: 10_000 }, () => {
      return told.at(-1)?.epoch === before.epoch;
    });
    await pool.query("select pg_notify('news', $1)", [`${round}`]);
    await until("it is heard", { limitMs: 10_000, everyMs: 5 }, () => {
      return heard.some((one) => one.kind === "message" && one.payload === `${round}`);
    });
    const gaps = heard.filter(({ kind }) => kind === "gap").length;
    // Before, with, or soon after the fault.
    if (round % 3 === 0) cuts += await cut();
    cluster().killDataServer(before.primary);
    if (round % 3 === 1) cuts += await cut();
    if (round % 3 === 2) {
      await new Promise((resolve) => setTimeout(resolve, 150));
      cuts += await cut();
    }
    const after = await until("another primary was told", { limitMs: 30_000, everyMs: 5 }, () => {
      const last = told.at(-1);
      return last !== undefined && last.epoch > before.epoch && last;
    });
    owed.push(after.epoch);
    await until("the gap was told", { limitMs: 10_000, everyMs: 5 }, () => {
      return heard.filter(({ kind }) => kind === "gap").length > gaps;
    });
  }
  const last = await untilHealthy(cluster());
  expect(told.at(-1)).toMatchObject({
    port: cluster().node(last.primary).data.port,
    epoch: last.epoch,
  });
  const epochs = told.map((one) => one.epoch);
  console.log(`${told.length} epochs told, ${cuts} subscriptions cut`);
  expect(cuts).toBeGreaterThan(ROUNDS / 2);
  expect(epochs).toEqual([...new Set(epochs)].toSorted((a, b) => Number(a - b)));
  expect(epochs).toEqual(expect.arrayContaining([...new Set(owed)]));
  // What came of each round, came in its order, a gap between any two of them.
  const words = heard.map((one) => (one.kind === "gap" ? "gap" : one.payload));
  for (let round = 1; round < ROUNDS; round += 1) {
    const between = words.slice(words.indexOf(`${round - 1}`) + 1, words.indexOf(`${round}`));
    expect(between.length, `between ${round - 1} and ${round}`).toBeGreaterThan(0);
    expect(new Set(between)).toEqual(new Set(["gap"]));
  }
  expect(pool.status()).toMatchObject({ inUse: 0, waiting: 0 });
  await pool.end();
}, 400_000);
