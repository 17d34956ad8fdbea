/**
 * What the client costs, and what it gives, beside pg's own Pool on the same servers, by turns in the same run.
 *
 *   node bench/client.ts [--n 2000] [--kills 3] [--json FILE]
 *
 * Latency: rounds of both, the order alternating, at 1, 10 and 100 callers. Kill: from the moment the promoted server
 * takes writes to the first acknowledged one, one caller; the rival tries pg clients host by host. Fast: three servers,
 * one of them behind a proxy that adds 20 ms; the same read raced, and pinned to each. Nodes of one machine share its
 * tail; so once more with each behind a proxy that stands still for a moment now and then, each at times of its own.
 */

import pg from "pg";
import { readOptions } from "../scripts/options.ts";
import { createPool, type Pool } from "../src/client/index.ts";
import { openProxy } from "../test/client/proxy.ts";
import { openServers, type Servers } from "../test/client/servers.ts";
import { until } from "../test/support/until.ts";
import { conditionsOf, describeConditions, positive, writeResult } from "./conditions.ts";
import { type Summary, summarize } from "./stats.ts";

const BLOCK = 200;
/** Of each contestant, before its calls count: code that runs seldom is compiled late. */
const WARM_UP = 8000;
/** In so many of a hundred passages a node stands still for so long, where nodes have tails of their own. */
const STALL = { percent: 2, ms: 10 };

const uriOf = (servers: Servers, index: number): string => {
  const server = servers.all[index];
  return `postgresql://postgres@${server?.host}:${server?.port}/postgres`;
};

const print = (name: string, { n, p50, p99, max }: Summary) => {
  const [a, b, c] = [p50, p99, max].map((ms) => ms.toFixed(3).padStart(9));
  console.log(`${name.padEnd(44)} n ${`${n}`.padStart(6)}  p50 ${a}  p99 ${b}  max ${c} ms`);
};

/** `count` calls by so many callers at once; milliseconds of each. */
async function timed(
  callers: number,
  count: number,
  one: () => Promise<unknown>,
): Promise<number[]> {
  const times: number[] = [];
  let left = count;
  const caller = async () => {
    while (left > 0) {
      left -= 1;
      const since = performance.now();
      await one();
      times.push(performance.now() - since);
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return times;
}

type Contestants = Readonly<Record<string, () => Promise<unknown>>>;

/** Blocks of each in turn, the order reversed every time; the first `warmUp` calls do not count. */
async function byTurns(
  callers: number,
  n: number,
  all: Contestants,
  warmUp = WARM_UP,
): Promise<Record<string, Summary>> {
  const samples = new Map(Object.keys(all).map((name): [string, number[]] => [name, []]));
  const cold = Math.ceil(warmUp / BLOCK);
  for (let round = 0; round < cold + Math.ceil(n / BLOCK); round += 1) {
    const turn = Object.entries(all);
    for (const [name, one] of round % 2 === 0 ? turn : turn.toReversed()) {
      const times = await timed(callers, BLOCK, one);
      if (round >= cold) samples.get(name)?.push(...times);
    }
  }
  return Object.fromEntries([...samples].map(([name, times]) => [name, summarize(times)]));
}

async function latency(servers: Servers, pool: Pool, n: number): Promise<Record<string, unknown>> {
  const bare = new pg.Pool({ connectionString: uriOf(servers, 0), max: 10 });
  const results: Record<string, unknown> = {};
  const insert = "insert into bench_t (v) values ($1)";
  try {
    for (const callers of [1, 10, 100]) {
      const kinds: Readonly<Record<string, Contestants>> = {
        "select 1": {
          "pg.Pool": () => bare.query("select $1::int as v", [1]),
          "pg-replica/client": () => pool.query("select $1::int as v", [1]),
        },
        insert: {
          "pg.Pool": () => bare.query(insert, [1]),
          "pg-replica/client": () => pool.query(insert, [1]),
        },
      };
      for (const [kind, contestants] of Object.entries(kinds)) {
        const found = await byTurns(callers, n, contestants);
        for (const [name, summary] of Object.entries(found))
          print(`${kind}, ${callers} callers, ${name}`, summary);
        const ratio = (found["pg-replica/client"]?.p50 ?? 0) / (found["pg.Pool"]?.p50 ?? 1);
        console.log(`${"".padEnd(44)} ratio of p50 ${ratio.toFixed(3)}`);
        results[`${kind}, ${callers}`] = { ...found, ratio };
      }
    }
  } finally {
    await bare.end();
  }
  return results;
}

/** What a program without us does: the next host, a new connection, until one takes the write. */
async function writeSomewhere(uris: readonly string[]): Promise<void> {
  await until("a write is taken", { limitMs: 30_000, everyMs: 20 }, async () => {
    for (const connectionString of uris) {
      const client = new pg.Client({ connectionString, connectionTimeoutMillis: 250 });
      client.on("error", () => undefined);
      try {
        await client.connect();
        await client.query("insert into bench_t (v) values (3)");
        return true;
      } catch {
      } finally {
        await client.end();
      }
    }
    return false;
  });
}

/** One kill: after the promoted server takes writes, when did each have its first one. */
async function killOnce(): Promise<{ readonly ours: number; readonly rival: number }> {
  const servers = await openServers(1);
  const pool = createPool({ ...servers.options, acquireTimeoutMs: 60_000 });
  try {
    await servers.all[0]?.sql("create table bench_t (v int)");
    await pool.query("insert into bench_t (v) values (1)");
    await servers.caughtUp();
    const uris = [0, 1].map((index) => uriOf(servers, index));
    const watch = new pg.Client(uriOf(servers, 1));
    await watch.connect();
    await servers.kill(0);
    const done = (work: Promise<unknown>) => work.then(() => performance.now());
    const ours = done(pool.transaction((tx) => tx.query("insert into bench_t (v) values (2)")));
    const rival = done(writeSomewhere(uris));
    await watch.query("select pg_promote(false)");
    const writable = await until("it is writable", { limitMs: 20_000, everyMs: 1 }, async () => {
      const { rows } = await watch.query("select pg_is_in_recovery() as r");
      return rows[0].r === false && performance.now();
    });
    await watch.end();
    return { ours: (await ours) - writable, rival: (await rival) - writable };
  } finally {
    await pool.end();
    await servers.close();
  }
}

async function kills(count: number): Promise<Record<string, Summary>> {
  const samples = [];
  for (let round = 0; round < count; round += 1) samples.push(await killOnce());
  const ours = summarize(samples.map((one) => one.ours));
  const rival = summarize(samples.map((one) => one.rival));
  print("writable to first write, pg-replica/client", ours);
  print("writable to first write, pg host by host", rival);
  return { ours, rival };
}

interface Hosts {
  readonly hosts: readonly string[];
  readonly close: () => Promise<unknown>;
}

/** One of three behind a proxy that adds 20 ms; with `tails` the others behind proxies that stall now and then. */
async function slowed(servers: Servers, tails: boolean): Promise<Hosts> {
  const proxies = await Promise.all(servers.all.map((server) => openProxy(server)));
  const at = (index: number) => `127.0.0.1:${proxies[index]?.port}`;
  proxies[2]?.delay(20);
  if (tails) for (const proxy of proxies.slice(0, 2)) proxy.stall(STALL.percent / 100, STALL.ms);
  return {
    hosts: tails ? [at(0), at(1), at(2)] : [servers.name(0), servers.name(1), at(2)],
    close: () => Promise.all(proxies.map((proxy) => proxy.close())),
  };
}

async function fast(
  servers: Servers,
  n: number,
  { tails }: { readonly tails: boolean },
): Promise<Record<string, Summary>> {
  const { hosts, close } = await slowed(servers, tails);
  const pool = createPool({ ...servers.options, hosts: [...hosts], tls: { mode: "disable" } });
  try {
    await pool.ready();
    await until("all are seen", { limitMs: 5000 }, () =>
      pool.topology().every((one) => one.reachable),
    );
    const read = "select count(*) from generate_series(1, $1::int)";
    const of = (more: object) => () => pool.query(read, [100], { mode: "any", ...more });
    const ways = {
      "fast, 2 of 3": of({ fast: true }),
      "fast, 3 of 3": of({ fast: true, fastFanout: 3 }),
      "fast, 2 of 3 at once": of({ fast: true, fastAfterMs: 0 }),
      "pinned to the first": of({ pin: hosts[0] }),
      "pinned to the second": of({ pin: hosts[1] }),
      nearest: of({}),
    };
    const found = await byTurns(1, n, ways, tails ? 400 : WARM_UP / 4);
    const what = tails ? "one slow, each with its tail" : "one slow node";
    for (const [name, summary] of Object.entries(found)) print(`${what}, ${name}`, summary);
    return found;
  } finally {
    await pool.end();
    await close();
  }
}

const { values: args } = readOptions({
  options: {
    n: { type: "string", default: "2000" },
    kills: { type: "string", default: "3" },
    json: { type: "string" },
  },
});
const n = positive("--n", args.n);
const servers = await openServers(2);
const pool = createPool(servers.options);
try {
  await servers.all[0]?.sql("create table bench_t (v int)");
  await servers.caughtUp();
  const conditions = await conditionsOf(uriOf(servers, 0));
  console.log(describeConditions(conditions));
  const result = {
    conditions,
    latency: await latency(servers, pool, n),
    fast: await fast(servers, n, { tails: false }),
    fastWithTails: await fast(servers, n, { tails: true }),
    kill: await kills(positive("--kills", args.kills)),
  };
  console.log(`written to ${await writeResult("client", result, args.json)}`);
} finally {
  await pool.end();
  await servers.close();
}
