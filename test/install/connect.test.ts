/** Connections that are kept, and hints that come back after the server did. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { monotonicClock } from "../../src/clock/clock.ts";
import { connect } from "../../src/db/connect.ts";
import { openHints, quietHints } from "../../src/db/hints.ts";
import { openScratch, type Scratch, type ScratchServer } from "../support/scratch.ts";
import { until } from "../support/until.ts";

let scratch: Scratch;
let server: ScratchServer;
beforeAll(async () => {
  scratch = await openScratch("connect");
  server = await scratch.start();
}, 60_000);
afterAll(() => scratch.close());

const reach = () => ({
  host: server.host,
  port: server.port,
  user: "postgres",
  applicationName: "hints",
  connectLimitMs: 2000,
});

/** Whether a promise has settled by now, without waiting for it. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  const no = Symbol("no");
  return (await Promise.race([promise, Promise.resolve(no)])) !== no;
}

test("a hint before the call and a hint after it both count, and many count once", async () => {
  const hints = quietHints();
  hints.nudge();
  hints.nudge();
  await hints.next();
  const waiting = hints.next();
  expect(await settled(waiting)).toBe(false);
  hints.nudge();
  await waiting;
});

test("an aborted wait for a hint ends", async () => {
  const stop = new AbortController();
  const waiting = quietHints().next(stop.signal);
  stop.abort();
  await waiting;
});

test("every reader hears a notification", async () => {
  const hints = await openHints(reach(), { channels: ["wake"], clock: monotonicClock });
  const other = hints.fork();
  const db = await server.connect();
  await db.query("notify wake");
  await Promise.all([hints.next(), other.next()]);
  await hints.close();
});

test("a listener whose connection was ended comes back, hints, and hears again", async () => {
  const hints = await openHints(reach(), { channels: ["wake"], clock: monotonicClock });
  const db = await server.connect();
  await db.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'hints'",
  );
  await hints.next();
  const heard = hints.next();
  await db.query("notify wake");
  await heard;
  await hints.close();
  const { rows } = await db.query(
    "select count(*) from pg_stat_activity where application_name = 'hints'",
  );
  expect(rows).toEqual([{ count: "0" }]);
});

test("the first connection of a listener may fail, and says so", async () => {
  const nowhere = { ...reach(), host: "127.0.0.1", port: 1 };
  await expect(
    openHints(nowhere, { channels: ["wake"], clock: monotonicClock }),
  ).rejects.toMatchObject({ code: "ECONNREFUSED" });
});

test("a lost connection is told once and ends nothing", async () => {
  const lost: Error[] = [];
  const db = await connect({ ...reach(), onLost: (error) => lost.push(error) });
  const other = await server.connect();
  const { rows } = await db.query("select pg_backend_pid() as pid");
  await other.query("select pg_terminate_backend($1)", [rows[0].pid]);
  await expect(db.query("select 1")).rejects.toThrow();
  await until("the loss is told", { limitMs: 5000, everyMs: 5 }, () => lost.length > 0);
  expect(lost).toHaveLength(1);
  await db.end();
});

test("a statement ends at its limit", async () => {
  const db = await connect({ ...reach(), statementLimitMs: 50 });
  await expect(db.query("select pg_sleep(5)")).rejects.toThrow(/timeout/);
  await db.end();
});
