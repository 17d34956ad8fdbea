/** What the writer calls acknowledged was confirmed: a wait that was cancelled is neither that nor a failure (F41). */
import { afterAll, beforeAll, expect, test } from "vitest";
import { openScratch, type Scratch, type ScratchServer } from "./scratch.ts";
import { until } from "./until.ts";
import { createWriterTable, startWriter } from "./writer.ts";

let scratch: Scratch;
let server: ScratchServer;
let uri: string;

beforeAll(async () => {
  scratch = await openScratch("writer");
  server = await scratch.start();
  uri = `postgresql://postgres@localhost/postgres?host=${encodeURIComponent(server.host)}`;
}, 60_000);
afterAll(() => scratch.close());

test("cancelled while nobody confirms: the row is there, and its fate was unknown", async () => {
  await createWriterTable(uri);
  const db = await server.connect();
  await db.query("alter system set synchronous_standby_names = 'nobody'");
  await db.query("select pg_reload_conf()");
  const writer = startWriter({ hosts: [uri], answerMs: 20_000, everyMs: 20 });
  let cancelled = 0;
  await until("three waits are cancelled", { limitMs: 10_000 }, async () => {
    const { rowCount } = await db.query(
      "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'",
    );
    cancelled += rowCount ?? 0;
    return cancelled >= 3;
  });
  await db.query("alter system reset synchronous_standby_names");
  await db.query("select pg_reload_conf()");
  await writer.untilAcknowledged(1, 10_000);
  await writer.stop();
  const result = await writer.check(uri);
  await db.end();
  expect(result.unknown).toBeGreaterThanOrEqual(2);
  expect(result.unknownPresent).toBe(result.unknown);
  expect(result.acknowledged + result.unknown).toBe(result.attempted);
  expect(result.lost).toEqual([]);
});
