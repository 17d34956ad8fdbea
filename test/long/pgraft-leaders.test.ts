/**
 * Leaders of the log as the pgraft interface tells of them, while they die and are cut off: no term has two, a new one
 * is there in time, and what was acknowledged is there once, everywhere, in one order.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { monotonicClock } from "../../src/clock/clock.ts";
import type { Injection } from "../support/cluster.ts";
import { expectWithin, useCluster } from "../support/fixture.ts";
import { untilHealthy } from "../support/health.ts";
import { watchLag } from "../support/lag.ts";
import { errorOf, hangUp, open, rows, sqlstate, value } from "../support/sql.ts";
import { until } from "../support/until.ts";

const KILLS = 5;
const LIMIT_MS = { "1000/100": 3000, "500/50": 1000 } as const;

const cluster = useCluster();
vi.setConfig({ testTimeout: 400_000 });
const ids = () => cluster().nodes.map(({ id }) => id);
const control = (id: number) => cluster().node(id).control.uri;
const frozen: Injection[] = [];
afterEach(() => {
  for (const one of frozen.splice(0)) cluster().thaw(one);
});

/** Who has said of itself that it leads, by term. */
const claims = new Map<string, Set<number>>();
const watching = new AbortController();
let watchers: Promise<void>[] = [];

async function watch(id: number): Promise<void> {
  const text = "select pgraft_is_leader() as leads, pgraft_get_term() as term";
  while (!watching.signal.aborted) {
    // Dead or frozen: it says nothing, and is asked again.
    const session = await open(control(id), { answerMs: 2000 }).catch(() => undefined);
    while (session !== undefined && !watching.signal.aborted) {
      const answer = await session.query(text).catch(() => undefined);
      if (answer === undefined) break;
      const [{ leads, term }] = answer.rows;
      if (leads) claims.set(term, (claims.get(term) ?? new Set()).add(id));
      await monotonicClock.sleep(10);
    }
    if (session !== undefined) hangUp(session);
    await monotonicClock.sleep(50);
  }
}

beforeAll(() => {
  watchers = ids().map(watch);
});
afterAll(async () => {
  watching.abort();
  await Promise.all(watchers);
  expect(claims.size).toBeGreaterThan(0);
  for (const [term, nodes] of claims) expect([...nodes], `leaders of term ${term}`).toHaveLength(1);
});

const leaderNow = async (among: readonly number[]) => {
  for (const id of among) {
    const leads = await value(control(id), "select pgraft_is_leader()").catch(() => "false");
    if (leads === "true") return id;
  }
  return undefined;
};

/** Everything of the leader's node dies; how long until another one leads, ms. */
async function succession(): Promise<number> {
  const { leader } = await untilHealthy(cluster(), 60_000);
  const term = Number(await value(control(leader), "select pgraft_get_term()"));
  const others = ids().filter((id) => id !== leader);
  const { at } = cluster().killNode(leader);
  const next = await until("another one leads", { limitMs: 30_000, everyMs: 5 }, () =>
    leaderNow(others),
  );
  const tookMs = monotonicClock.now() - at;
  expect(Number(await value(control(next), "select pgraft_get_term()"))).toBeGreaterThan(term);
  await untilHealthy(cluster(), 60_000);
  const own = "select state from pgraft_get_cluster_status() where is_self";
  await until("the old one follows", { limitMs: 30_000 }, async () => {
    const now = await leaderNow(ids());
    return now === leader || (await value(control(leader), own)) === "Follower";
  });
  return tookMs;
}

const confOf = (id: number) => join(cluster().node(id).control.dir, "postgresql.conf");

test.each(["1000/100", "500/50"] as const)(
  "timers of %s: another leads in time",
  async (timers) => {
    const [election, heartbeat] = timers.split("/");
    const lines = `pgraft.election_timeout = ${election}\npgraft.heartbeat_interval = ${heartbeat}\n`;
    const before = new Map<number, string>();
    for (const id of ids()) {
      before.set(id, await readFile(confOf(id), "utf8"));
      await writeFile(confOf(id), `${before.get(id)}\n${lines}`);
      await value(control(id), "select pg_reload_conf()");
    }
    for (const id of ids()) {
      await until("it is followed", { limitMs: 10_000 }, async () => {
        return (await value(control(id), "select election_ms from node.worker")) === election;
      });
    }
    const lag = watchLag();
    const took: number[] = [];
    for (let kill = 0; kill < KILLS; kill++) took.push(await succession());
    const sorted = took.sort((a, b) => a - b);
    console.log(`${timers}: ${sorted.map((ms) => ms.toFixed(0)).join(" ")} ms`);
    const judged = timers === "500/50" ? sorted[KILLS >> 1] : sorted.at(-1);
    expectWithin("a new leader", judged ?? 0, LIMIT_MS[timers], lag.stop());
    for (const id of ids()) await writeFile(confOf(id), before.get(id) ?? "");
    for (const id of ids()) await value(control(id), "select pg_reload_conf()");
  },
);

test("a leader that is alone says so within an election timeout, and acknowledges nothing", async () => {
  const { leader } = await untilHealthy(cluster(), 60_000);
  const lag = watchLag();
  for (const id of ids()) if (id !== leader) frozen.push(await cluster().freezeNode(id));
  const from = monotonicClock.now();
  await until("it leads no longer", { limitMs: 10_000, everyMs: 10 }, async () => {
    return (await value(control(leader), "select pgraft_is_leader()")) === "false";
  });
  // The last confirmation was before the freeze was complete.
  expectWithin("no majority is noticed", monotonicClock.now() - from, 1100, lag.stop());
  expect(await value(control(leader), "select pgraft_get_leader()")).toBe("0");
  for (const call of ["replicate_entry('alone')", "kv_put('alone', 'v')", "kv_get('alone')"]) {
    const error = await errorOf(value(control(leader), `select pgraft_${call}`));
    expect(["RF002", "RF003"]).toContain(sqlstate(error));
  }
  for (const one of frozen.splice(0)) cluster().thaw(one);
  await untilHealthy(cluster(), 60_000);
});

test("a thousand entries of one DO block are there in their order", async () => {
  const leader = await until("the leader is where it stays", { limitMs: 60_000 }, async () => {
    const healthy = await untilHealthy(cluster(), 60_000);
    return healthy.leader === healthy.primary && healthy.leader;
  });
  const block = `do $$ begin
    for n in 1..1000 loop perform pgraft_replicate_entry('block ' || n); end loop; end $$`;
  await rows(control(leader), block, [], { answerMs: 60_000 });
  for (const id of ids()) {
    await until("all of it is there", { limitMs: 10_000 }, async () => {
      return (await entriesOf(id, "block ")).length >= 1000;
    });
    const data = (await entriesOf(id, "block ")).map((one) => one.data);
    expect(data).toEqual(Array.from({ length: 1000 }, (_, n) => `block ${n + 1}`));
  }
});

interface Entry extends Record<string, unknown> {
  readonly index: string;
  readonly data: string;
  readonly request_id: string | null;
}

const entriesOf = (id: number, prefix: string) =>
  rows<Entry>(
    control(id),
    `select index, data, request_id from pg_replica.entries(max_rows => 1000000)
      where starts_with(data, $1) order by index, item`,
    [prefix],
    { answerMs: 60_000 },
  );

/**
 * Put each of these in under its name, again after every error, through one node after the other: whoever leads, or
 * has it carried on to whoever does.
 */
async function putAll(
  first: number,
  texts: readonly string[],
  forward: "on" | "off",
): Promise<void> {
  let at = first;
  let session: Awaited<ReturnType<typeof open>> | undefined;
  for (const text of texts) {
    await until(`${text} is acknowledged`, { limitMs: 120_000, everyMs: 100 }, async () => {
      try {
        session ??= await open(control(ids()[at % ids().length] ?? 0), {
          answerMs: 8000,
          options: `-c pgraft.forward_writes=${forward}`,
        });
        const put = "select pgraft_replicate_entry($1, $1) as done";
        expect((await session.query(put, [text])).rows).toEqual([{ done: true }]);
        return true;
      } catch {
        if (session !== undefined) hangUp(session);
        session = undefined;
        at += 1;
        return false;
      }
    });
  }
  if (session !== undefined) hangUp(session);
}

/** Wherever one looks each of these is there once, and all in the same order. */
async function onceEverywhere(prefix: string, texts: readonly string[]): Promise<void> {
  const [one = [], ...others] = await Promise.all(ids().map((id) => entriesOf(id, prefix)));
  expect(one.map(({ data }) => data).sort()).toEqual([...texts].sort());
  for (const other of others) expect(other).toEqual(one);
}

test("one request, asked for a hundred times over a leader's death, is there once", async () => {
  const { leader } = await untilHealthy(cluster(), 60_000);
  const asking = Array.from({ length: 100 }, (_, at) => putAll(at, ["asked again"], "on"));
  cluster().killNode(leader);
  await Promise.all(asking);
  await untilHealthy(cluster(), 60_000);
  await onceEverywhere("asked again", ["asked again"]);
});

test("ten thousand entries of a hundred sessions, leaders killed meanwhile, are there once", async () => {
  await untilHealthy(cluster(), 60_000);
  const count = "select count(*) from cluster.entry where starts_with(data, 'of session ')";
  const texts = Array.from({ length: 100 }, (_, session) =>
    Array.from({ length: 100 }, (_, n) => `of session ${session} number ${n}`),
  );
  const writing = Promise.all(texts.map((own, session) => putAll(session, own, "off")));
  for (const share of [2000, 5000]) {
    await until(`${share} are in`, { limitMs: 120_000, everyMs: 250 }, async () => {
      return Number(await value(control(ids()[0] ?? 0), count)) > share;
    });
    const now = await until("somebody leads", { limitMs: 30_000 }, () => leaderNow(ids()));
    cluster().killNode(now);
  }
  await writing;
  await untilHealthy(cluster(), 60_000);
  await onceEverywhere("of session ", texts.flat());
});
