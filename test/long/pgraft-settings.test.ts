/** Settings pgraft.* of running nodes: a reload is followed in two seconds, or refused by name and changes nothing. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeAll, expect, test } from "vitest";
import { monotonicClock } from "../../src/clock/clock.ts";
import { expectWithin, useCluster } from "../support/fixture.ts";
import { untilHealthy } from "../support/health.ts";
import { isOverloaded, watchLag } from "../support/lag.ts";
import { errorOf, rows, sqlstate, value } from "../support/sql.ts";
import { until } from "../support/until.ts";

const FOLLOWED_MS = 2000;

const cluster = useCluster();
const ids = () => cluster().nodes.map(({ id }) => id);
const control = (id: number) => cluster().node(id).control.uri;
const before = new Map<number, string>();

const confOf = (id: number) => join(cluster().node(id).control.dir, "postgresql.conf");
const logOf = async (id: number) =>
  (await readFile(join(cluster().node(id).data.dir, "../log/worker.log"), "utf8"))
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as { level: number; event: string; msg: string });
const messages = async (id: number, event: string) =>
  (await logOf(id)).filter((line) => line.event === event).map(({ msg }) => msg);

beforeAll(async () => {
  for (const id of ids()) before.set(id, await readFile(confOf(id), "utf8"));
});
afterEach(async () => {
  await Promise.all(ids().map((id) => reload(id, [])));
  await until("the timers are as before", { limitMs: 10_000 }, async () => {
    const now = await Promise.all(ids().map(inForce));
    return now.every((one) => one?.election_ms === 1000);
  });
});

/** These settings and no other are in its files, and the server has taken them. */
async function reload(id: number, lines: readonly string[]): Promise<void> {
  await writeFile(confOf(id), `${before.get(id)}\n${lines.join("\n")}\n`);
  await value(control(id), "select pg_reload_conf()");
}

const inForce = async (id: number) =>
  (await rows(control(id), "select election_ms, heartbeat_ms from node.worker"))[0];

/** How often a node hears its leader. */
async function heardPerSecond(id: number): Promise<number> {
  const heard = async () => Number(await value(control(id), "select raft.heard_count()"));
  const [first, from] = [await heard(), monotonicClock.now()];
  await monotonicClock.sleep(4000);
  const [last, to] = [await heard(), monotonicClock.now()];
  return ((last - first) * 1000) / (to - from);
}

test("timers are followed, and a heartbeat of 50 ms is one of 50 ms", async () => {
  const { leader } = await untilHealthy(cluster());
  const watch = watchLag();
  const [follower = 0] = ids().filter((id) => id !== leader);
  const slow = await heardPerSecond(follower);
  const lines = ["pgraft.election_timeout = 500", "pgraft.heartbeat_interval = 50ms"];
  const from = monotonicClock.now();
  await Promise.all(ids().map((id) => reload(id, lines)));
  for (const id of ids()) {
    await until(`node ${id} follows`, { limitMs: 10_000 }, async () => {
      return (await inForce(id))?.election_ms === 500;
    });
  }
  const tookMs = monotonicClock.now() - from;
  expect(await inForce(leader)).toEqual({ election_ms: 500, heartbeat_ms: 50 });
  const fast = await heardPerSecond(follower);
  const lagMs = watch.stop();
  expectWithin("a reload is followed", tookMs, FOLLOWED_MS, lagMs);
  console.log(`heard per second: ${slow.toFixed(1)}, then ${fast.toFixed(1)}`);
  // Entries come in appends of their own, now and then.
  expect(slow).toBeLessThan(13);
  expect(fast).toBeLessThan(24);
  expect(fast).toBeGreaterThan(isOverloaded(lagMs) ? 1.2 * slow : 16);
  expect((await messages(leader, "settings.followed")).at(-1)).toBe(
    "from now on: election_timeout 500 ms (was 1000 ms), heartbeat_interval 50 ms (was 100 ms)",
  );
});

test("what is not valid is refused by name, once, and all that was in force stays", async () => {
  await untilHealthy(cluster());
  const [id = 0] = ids();
  const refusals = [
    ["pgraft.heartbeat_interval = 300", /election_timeout is 1000, must be at least 5 times/],
    [
      "pgraft.election_timeout = 50",
      /pgraft\.election_timeout is 50, must be between 100 and 30000/,
    ],
    ["pgraft.elction_timeout = 500", /unknown setting pgraft\.elction_timeout/],
    ["pgraft.port = 7999", /pgraft\.port is '7999' .*control\.port; it counts from a start of/],
  ] as const;
  for (const [line, said] of refusals) {
    const known = (await messages(id, "settings.refused")).length;
    await reload(id, [line, "pgraft.log_level = debug"]);
    await until(`${line} is refused`, { limitMs: 10_000 }, async () => {
      return (await messages(id, "settings.refused")).length > known;
    });
    // Reloaded again it says nothing new.
    await reload(id, [line, "pgraft.log_level = debug"]);
    await monotonicClock.sleep(FOLLOWED_MS);
    const now = await messages(id, "settings.refused");
    expect(now.length).toBe(known + 1);
    expect(now.at(-1)).toMatch(said);
    expect(now.at(-1)).toContain("what was in force stays, all of it");
    expect(await inForce(id)).toEqual({ election_ms: 1000, heartbeat_ms: 100 });
    expect((await logOf(id)).filter(({ level }) => level < 30)).toEqual([]);
    // Nor would it start so.
    expect(sqlstate(await errorOf(value(control(id), "select pgraft_init()")))).toBe("22023");
  }
  await reload(id, []);
  expect(await value(control(id), "select pgraft_init()")).toBe("true");
});

test("the log level is followed, up and down", async () => {
  const { leader } = await untilHealthy(cluster());
  const followed = (level: string) =>
    until(`log level ${level} is followed`, { limitMs: 10_000 }, async () => {
      return (await messages(leader, "settings.followed")).at(-1)?.includes(`log_level ${level}`);
    });
  const debugged = async (count: number) =>
    until("so much is told at debug", { limitMs: 10_000 }, async () => {
      return (await messages(leader, "worker.debugging")).length === count;
    });
  await reload(leader, ["pgraft.log_level = debug"]);
  await followed("debug");
  await value(control(leader), "select pgraft_set_debug(true)");
  await debugged(1);
  // No longer by order: what tells of that is told at the level that is set.
  await value(control(leader), "select pgraft_set_debug(false)");
  await debugged(2);
  await reload(leader, ["pgraft.log_level = error"]);
  await followed("error");
  const { length } = await logOf(leader);
  await value(control(leader), "select pgraft_set_debug(true)");
  await debugged(3);
  await value(control(leader), "select pgraft_set_debug(false)");
  await reload(leader, ["pgraft.log_level = warn"]);
  await monotonicClock.sleep(FOLLOWED_MS);
  // That it follows is told at info.
  const since = (await logOf(leader)).slice(length);
  expect(since.filter(({ event }) => event !== "control.gone")).toMatchObject([
    { event: "worker.debugging" },
  ]);
});

test("how much of the log is kept is followed", async () => {
  const { leader } = await untilHealthy(cluster());
  const keep = ["pgraft.max_log_entries = 100", "pgraft.snapshot_count = 100"];
  const put =
    "select count(pgraft_replicate_entry('kept ' || n)) from generate_series(1, 300) as n";
  expect(await value(control(leader), put, [], { answerMs: 60_000 })).toBe("300");
  const kept = (id: number) =>
    value(control(id), "select entry_count from pgraft_log_get_stats()").then(Number);
  for (const id of ids()) expect(await kept(id)).toBeGreaterThan(300);
  await Promise.all(ids().map((id) => reload(id, keep)));
  await until("it is known everywhere", { limitMs: 10_000 }, async () => {
    const said = await Promise.all(ids().map((id) => messages(id, "settings.followed")));
    return said.every((one) => one.at(-1)?.includes("snapshot_count 200"));
  });
  // With the next entry that is applied.
  await value(control(leader), "select pgraft_replicate_entry('one more')");
  await until("all logs are short", { limitMs: 10_000 }, async () => {
    return (await Promise.all(ids().map(kept))).every((count) => count <= 200);
  });
});
