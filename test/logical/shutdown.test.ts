/** A server that shuts down waits for what its streams have not acknowledged, and for nothing else. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Commit, ReplicationClient } from "../../src/logical/index.ts";
import { expectWithin } from "../support/fixture.ts";
import { until } from "../support/until.ts";
import { type Bench, openBench } from "./bench.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await openBench(undefined);
}, 60_000);
afterEach(() => bench.lab.close());

/** A stream that has handed out one transaction. */
async function follow(acknowledge: "at once" | "later") {
  const client = await ReplicationClient.connect(await bench.slot());
  const commits: Commit[] = [];
  let keepalives = 0;
  const ended = client.consume((event) => {
    if (event.kind === "keepalive") keepalives += 1;
    if (event.kind !== "commit") return;
    commits.push(event);
    if (acknowledge === "at once") client.updateAppliedLsn(event.endLsn);
  });
  await bench.server.sql("insert into t values (1, 'x')");
  const commit = await until("it came", { limitMs: 5000, everyMs: 2 }, () => commits[0]);
  await bench.server.sql("create table beyond_the_last_commit_that_is_published ()");
  return { client, commit, ended, keepalives: () => keepalives };
}

test("a stream that has acknowledged all does not hold it up, and ends cleanly", async () => {
  const { client, commit, ended } = await follow("at once");
  const since = performance.now();
  await bench.server.process.stop("fast", 10_000);
  expect(performance.now() - since).toBeLessThan(5000);
  await ended;
  expect(client.isRunning).toBe(false);
  expect(client.lastAppliedLsn).toBeGreaterThanOrEqual(commit.endLsn);
});

test("what was not acknowledged is waited for; asked again and again it is not answered in a rush", async () => {
  const { client, commit, ended, keepalives } = await follow("later");
  client.updateAppliedLsn((commit.endLsn - 1n) as Commit["endLsn"]);
  let stopped = false;
  const stopping = bench.server.process.stop("fast", 20_000).then(() => {
    stopped = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 1500));
  expect(stopped).toBe(false);
  expect(keepalives()).toBeLessThan(200);
  client.updateAppliedLsn(commit.endLsn);
  await stopping;
  await ended;
});

test("stopped in the middle of a busy stream it ends within 200 ms of the last event, and the slot is free", async () => {
  const config = await bench.slot();
  const client = await ReplicationClient.connect(config);
  await bench.server.sql(`do $$ begin for i in 1..4000 loop
    insert into t select i * 10 + j, 'x' from generate_series(0, 9) j; commit; end loop; end $$`);
  let last = Number.NaN;
  let rows = 0;
  for await (const { kind } of client) {
    if (kind === "insert") rows += 1;
    if (rows === 500) client.stop();
    last = performance.now();
  }
  expectWithin("from the last event to the end", performance.now() - last, 200);
  expect(rows).toBeGreaterThanOrEqual(500);
  expect(await bench.isActive(config)).toBe(false);
});
