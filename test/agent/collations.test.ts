/** Nodes whose C library or ICU differ order text differently: told, once (contract, weakness 13). */
import { afterAll, beforeAll, expect, test } from "vitest";
import { watchCollations } from "../../src/agent/collations.ts";
import { waitUntil } from "../../src/clock/clock.ts";
import { type Bench, client, copyAndJoin, openBench, serve, sql, within } from "./harness.ts";

let bench: Bench;

beforeAll(async () => {
  bench = await openBench(2);
  await serve(bench);
  await copyAndJoin(bench.node(2));
}, 60_000);
afterAll(() => bench?.stop(), 60_000);

test("a standby whose ICU is another than the database was made with says so, once", async () => {
  const { agent, kept } = bench.node(2);
  const db = await client(bench.node(2));
  const told = () => kept.acts.filter(({ event }) => event === "collations_differ");
  try {
    expect(await watchCollations(agent, db, "")).toBe("");
    await sql(
      bench.node(1),
      `create database app template template0 encoding 'UTF8' locale 'C' locale_provider icu icu_locale 'en-US'`,
    );
    await sql(bench.node(1), "update pg_database set datcollversion = '1.0' where datname = 'app'");
    const now = await waitUntil("it is replayed", within(10_000), async () => {
      return (await watchCollations(agent, db, "")) || undefined;
    });
    expect(now).toMatch(/^database app \(1\.0, here [\d.]+\)$/);
    expect(told()).toMatchObject([
      { reason: `n2 orders text otherwise than the data were made: ${now}` },
    ]);
    expect(await watchCollations(agent, db, now)).toBe(now);
    expect(told()).toHaveLength(1);
  } finally {
    await db.end();
  }
});
