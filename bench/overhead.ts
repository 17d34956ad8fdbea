/**
 * What we cost the data path: pgbench against our primary and against plain PostgreSQL with the same settings and the
 * same rule of synchronous commit, by turns on one machine.
 *
 *   node bench/overhead.ts [--pairs 10] [--seconds 10] [--clients 8] [--jobs 2] [--script tpcb|insert] [--json FILE]
 *
 * Each pair runs both, the order alternating. While the one is measured the other is stopped, control plane included,
 * and each begins alike: servers just started (so with empty buffers), a checkpoint, and an uncounted run before the
 * counted one. The figure is the ratio of each pair; the median and its spread are printed.
 */
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readOptions } from "../scripts/options.ts";
import { type Cluster, startCluster, temporaryFolder } from "../test/support/cluster.ts";
import { untilHealthy } from "../test/support/health.ts";
import { type PlainCluster, startPlain } from "../test/support/plain.ts";
import { mustRun, needProgram } from "../test/support/programs.ts";
import { rows, value } from "../test/support/sql.ts";
import { conditionsOf, describeConditions, positive, writeResult } from "./conditions.ts";
import { deviation, median, percentile } from "./stats.ts";

/** Settings that change what a commit or a buffer costs: the plain servers get ours. */
const SAME = [
  "shared_buffers",
  "wal_level",
  "fsync",
  "full_page_writes",
  "synchronous_commit",
  "wal_log_hints",
  "wal_compression",
  "wal_buffers",
  "wal_init_zero",
  "wal_recycle",
  "max_wal_size",
  "min_wal_size",
  "checkpoint_timeout",
  "checkpoint_completion_target",
  "max_connections",
  "autovacuum",
  "jit",
  "huge_pages",
  "effective_cache_size",
  "work_mem",
  "hot_standby_feedback",
  "wal_receiver_status_interval",
  "max_wal_senders",
  "max_replication_slots",
  "track_commit_timestamp",
  "shared_preload_libraries",
  "track_io_timing",
  "commit_delay",
  "bgwriter_delay",
  "wal_writer_delay",
];

interface Workload {
  readonly clients: number;
  readonly jobs: number;
  readonly seconds: number;
  /** A file for pgbench -f; undefined: its own TPC-B-like script. */
  readonly file: string | undefined;
}

async function settingsOf(uri: string): Promise<string[]> {
  const found = await rows<{ name: string; setting: string; unit: string | null }>(
    uri,
    "select name, current_setting(name) as setting from pg_settings where name = any ($1) order by name",
    [SAME],
  );
  return found.map(({ name, setting }) => `${name} = '${setting}'`);
}

/** Transactions per second of one run. */
async function pgbench(uri: string, load: Workload): Promise<number> {
  const { clients, jobs, seconds, file } = load;
  const args = ["-n", "-c", `${clients}`, "-j", `${jobs}`, "-T", `${seconds}`, "-M", "prepared"];
  const script = file === undefined ? [] : ["-f", file];
  const output = await mustRun(needProgram("pgbench"), [...args, ...script, uri], {
    limitMs: (seconds + 60) * 1000,
  });
  const tps = Number(/^tps = ([\d.]+)/m.exec(output)?.[1]);
  if (!(tps > 0)) throw new Error(`pgbench gave no tps:\n${output}`);
  return tps;
}

async function prepare(uri: string, { file }: Workload): Promise<void> {
  await mustRun(needProgram("pgbench"), ["-i", "-q", "-s", "10", uri], { limitMs: 120_000 });
  if (file !== undefined) {
    await rows(uri, "create table single (id bigserial primary key, at timestamptz default now())");
  }
  await rows(uri, "checkpoint", [], { answerMs: 60_000 });
}

interface Pair {
  readonly ours: number;
  readonly plain: number;
  readonly ratio: number;
}

const WARM_UP_S = 5;

interface Contestant {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Of its primary, once started. */
  uri(): Promise<string>;
}

/** Whatever ran before: pages are written whole after a checkpoint and read from disk after a start, for both alike. */
async function measure(one: Contestant, load: Workload): Promise<number> {
  await one.start();
  try {
    const uri = await one.uri();
    await rows(uri, "checkpoint", [], { answerMs: 60_000 });
    await pgbench(uri, { ...load, seconds: WARM_UP_S });
    return await pgbench(uri, load);
  } finally {
    await one.stop();
  }
}

async function pairs(
  count: number,
  { withUs, without }: { readonly withUs: Contestant; readonly without: Contestant },
  load: Workload,
): Promise<Pair[]> {
  const results: Pair[] = [];
  for (let pair = 1; pair <= count; pair++) {
    // Alternate, so that a trend of the machine cancels out.
    const oursFirst = pair % 2 === 1;
    const first = await measure(oursFirst ? withUs : without, load);
    const second = await measure(oursFirst ? without : withUs, load);
    const [ours, plain] = oursFirst ? [first, second] : [second, first];
    const ratio = ours / plain;
    results.push({ ours, plain, ratio });
    const both = `with us ${ours.toFixed(0)} tps, without ${plain.toFixed(0)} tps`;
    console.log(`  ${`${pair}/${count}`.padStart(6)}  ${both}, ratio ${ratio.toFixed(3)}`);
  }
  return results;
}

function report(results: readonly Pair[]): void {
  const ratios = results.map(({ ratio }) => ratio);
  const middle = median(ratios);
  const spread = `${percentile(ratios, 0.1).toFixed(3)} to ${percentile(ratios, 0.9).toFixed(3)}`;
  const error = deviation(ratios) / Math.sqrt(ratios.length);
  console.log(`\nwith us      ${median(results.map(({ ours }) => ours)).toFixed(0)} tps (median)`);
  console.log(`without us   ${median(results.map(({ plain }) => plain)).toFixed(0)} tps (median)`);
  console.log(
    `ratio        ${middle.toFixed(3)} (median of ${ratios.length} pairs; p10 to p90 ${spread})`,
  );
  console.log(`             standard error of the mean ${error.toFixed(3)}; goal: 0.97 or more`);
}

async function compare(cluster: Cluster, plain: PlainCluster, count: number, load: Workload) {
  const { primary } = await untilHealthy(cluster);
  const ours = cluster.node(primary).data.uri;
  await prepare(ours, load);
  await prepare(plain.primary.uri, load);
  const rule = await value(ours, "show synchronous_standby_names");
  console.log(
    `rule with us: ${rule}; without: ${await value(plain.primary.uri, "show synchronous_standby_names")}`,
  );
  await cluster.stop();
  await plain.halt();
  const withUs: Contestant = {
    start: () => cluster.restart(),
    stop: () => cluster.stop(),
    uri: async () => cluster.node((await untilHealthy(cluster)).primary).data.uri,
  };
  const without: Contestant = {
    start: plain.resume,
    stop: plain.halt,
    uri: async () => plain.primary.uri,
  };
  return await pairs(count, { withUs, without }, load);
}

async function main(): Promise<void> {
  const { values } = readOptions({
    options: {
      pairs: { type: "string", default: "10" },
      seconds: { type: "string", default: "10" },
      clients: { type: "string", default: "8" },
      jobs: { type: "string", default: "2" },
      script: { type: "string", default: "tpcb" },
      json: { type: "string" },
    },
  });
  if (values.script !== "tpcb" && values.script !== "insert") {
    throw new Error(`--script: ${values.script}: expected tpcb or insert`);
  }
  const top = await temporaryFolder("overhead");
  const file = join(top, "insert.sql");
  await writeFile(file, "insert into single default values;\n");
  const load: Workload = {
    clients: positive("--clients", values.clients),
    jobs: positive("--jobs", values.jobs),
    seconds: positive("--seconds", values.seconds),
    file: values.script === "insert" ? file : undefined,
  };
  const cluster = await startCluster({ nodes: 3 });
  let plain: PlainCluster | undefined;
  try {
    const { primary } = await untilHealthy(cluster);
    const { uri } = cluster.node(primary).data;
    const bytes = await value(
      uri,
      "select setting from pg_settings where name = 'wal_segment_size'",
    );
    const segmentMb = Number(bytes) / 2 ** 20;
    const settings = await settingsOf(uri);
    plain = await startPlain({ standbys: 2, confirmations: 1, settings, segmentMb });
    const conditions = await conditionsOf(uri);
    console.log(describeConditions(conditions));
    console.log(`pgbench ${values.script}: ${JSON.stringify(load)}, ${values.pairs} pairs`);
    const results = await compare(cluster, plain, positive("--pairs", values.pairs), load);
    report(results);
    const result = { conditions, load, script: values.script, results };
    console.log(`\nwritten to ${await writeResult("overhead", result, values.json)}`);
  } finally {
    await plain?.stop();
    await cluster.discard("remove");
    await rm(top, { recursive: true, force: true });
  }
}

await main();
