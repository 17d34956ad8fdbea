/**
 * Whether the log stays what it is while it grows: a million entries, and at each step the rate, what a single
 * `replicate` takes, what is kept, the memory of the leader's worker and store, and the disk of every control store.
 *
 *   node bench/long-log.ts [--entries 1000000] [--steps 10] [--json FILE]
 *
 * Entries of 256 bytes come in batches of 100 from eight SQL clients on the leader's store.
 */
import { randomUUID } from "node:crypto";
import pg from "pg";
import { readOptions } from "../scripts/options.ts";
import { type Cluster, startCluster } from "../test/support/cluster.ts";
import { untilHealthy } from "../test/support/health.ts";
import { mustRun } from "../test/support/programs.ts";
import { conditionsOf, describeConditions, positive, writeResult } from "./conditions.ts";
import { partsOf, pssMb } from "./parts.ts";
import { summarize } from "./stats.ts";

const VALUE = "v".repeat(256);
const BATCH = 100;
const CLIENTS = 8;
const SINGLE = 50;

interface Step {
  readonly entries: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** In the log, and in the tables of what was applied. */
  readonly log: number;
  readonly kept: number;
  readonly workerMb: number;
  readonly storeMb: number;
  /** Of the control stores, the largest. */
  readonly diskMb: number;
}

async function grow(clients: readonly pg.Client[], entries: number): Promise<number> {
  const items = Array.from({ length: BATCH }, () => VALUE);
  let left = Math.ceil(entries / BATCH);
  const since = performance.now();
  await Promise.all(
    clients.map(async (client) => {
      while (left > 0) {
        left -= 1;
        await batch(client, items);
      }
    }),
  );
  return (entries * 1000) / (performance.now() - since);
}

/** A retry after an unknown outcome writes it once: it has a name. */
async function batch(client: pg.Client, items: readonly string[]): Promise<void> {
  const name = randomUUID();
  for (let tries = 1; ; tries += 1) {
    try {
      await client.query("select pg_replica.replicate($1::text[], $2)", [items, name]);
      return;
    } catch (error) {
      if (tries === 20 || !/^RF00[23]$/.test((error as { code?: string }).code ?? "")) throw error;
    }
  }
}

async function singles(client: pg.Client): Promise<{ p50: number; p99: number; max: number }> {
  const times: number[] = [];
  for (let i = 0; i < SINGLE; i += 1) {
    const began = performance.now();
    await client.query("select pg_replica.replicate($1::text)", [VALUE]);
    times.push(performance.now() - began);
  }
  const { p50, p99, max } = summarize(times);
  return { p50, p99, max };
}

async function look(cluster: Cluster, leader: number, client: pg.Client) {
  const { rows } = await client.query(
    `select (select count(*) from raft.log)::int as log, (select count(*) from cluster.entry)::int as kept`,
  );
  const parts = partsOf(cluster, leader);
  const memory = async (part: "worker" | "control store") =>
    (await Promise.all(parts[part].map(({ pid }) => pssMb(pid)))).reduce((a, b) => a + b, 0);
  const disks = await Promise.all(
    cluster.nodes.map(async ({ control }) =>
      Number((await mustRun("du", ["-sk", control.dir])).split("\t")[0]),
    ),
  );
  return {
    log: Number(rows[0].log),
    kept: Number(rows[0].kept),
    workerMb: await memory("worker"),
    storeMb: await memory("control store"),
    diskMb: Math.max(...disks) / 1024,
  };
}

function line(step: Step): string {
  const cells = [
    step.entries,
    step.perSecond.toFixed(0),
    ...[step.p50, step.p99, step.max].map((ms) => ms.toFixed(1)),
    step.log,
    step.kept,
    ...[step.workerMb, step.storeMb, step.diskMb].map((mb) => mb.toFixed(0)),
  ];
  return cells.map((cell) => `${cell}`.padStart(9)).join("");
}

const { values: args } = readOptions({
  options: {
    entries: { type: "string", default: "1000000" },
    steps: { type: "string", default: "10" },
    json: { type: "string" },
  },
});
const entries = positive("--entries", args.entries);
const steps = positive("--steps", args.steps);
const cluster = await startCluster({ nodes: 3 });
try {
  const { leader } = await untilHealthy(cluster);
  const { uri } = cluster.node(leader).control;
  const conditions = await conditionsOf(uri);
  console.log(describeConditions(conditions));
  console.log(
    "\n  entries      /s    p50 ms    p99 ms   max ms      log     kept worker MB store MB  disk MB",
  );
  const clients = await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      const client = new pg.Client(uri);
      await client.connect();
      return client;
    }),
  );
  const found: Step[] = [];
  try {
    const [first] = clients as [pg.Client];
    for (let step = 1; step <= steps; step += 1) {
      const perSecond = await grow(clients, entries / steps);
      const alone = await singles(first);
      const seen = await look(cluster, leader, first);
      const one = { entries: Math.round((entries * step) / steps), perSecond, ...alone, ...seen };
      found.push(one);
      console.log(line(one));
    }
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
  console.log(
    `\nwritten to ${await writeResult("long-log", { conditions, entries, found }, args.json)}`,
  );
  await cluster.stop();
} finally {
  await cluster.discard("remove");
}
