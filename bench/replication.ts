/**
 * How fast a change stream is read: by us, by the npm package pg-logical-replication with its pgoutput plugin (where it
 * is installed: it is a devDependency), and raw by us and by pg_recvlogical. The same backlogs of the same server, by
 * turns, each drain in a process of its own from a slot of its own; once from the server, whose walsender is the slower
 * side as a rule, and once from a relay that holds all of it (`held-relay.ts`): the client alone.
 *
 *   node bench/replication.ts [--rows 200000] [--rounds 3] [--only narrow] [--events 10000000] [--json FILE]
 *
 * `--events`: one drain of so many narrow rows, with the resident memory after each tenth.
 */
import { createRequire } from "node:module";
import { readOptions } from "../scripts/options.ts";
import { type Lab, type LabServer, openLab } from "../test/replication/lab.ts";
import { mustRun } from "../test/support/programs.ts";
import type { Relay } from "../test/support/relay.ts";
import { conditionsOf, describeConditions, positive, writeResult } from "./conditions.ts";
import { openHeldRelay } from "./held-relay.ts";
import type { Contestant, Drained, Task } from "./replication-drain.ts";
import { median } from "./stats.ts";

const DRAIN_LIMIT_MS = 600_000;
const SETTINGS = {
  wal_level: "logical",
  max_replication_slots: 20,
  max_wal_senders: 20,
  fsync: "off",
  shared_buffers: "256MB",
  max_wal_size: "8GB",
  logical_decoding_work_mem: "1GB",
};

interface Workload {
  readonly name: string;
  /** Of so many rows, what is to be written; `count` rows come of it. */
  readonly sql: (count: number) => string;
  /** Rows are wide: so many times fewer. */
  readonly fewer?: number;
}

const inTransactions = (count: number, each: number, insert: string) => `
  do $$ begin for one in 1..${Math.ceil(count / each)} loop
    ${insert.replaceAll("EACH", String(each))}; commit;
  end loop; end $$`;
const NARROW = "insert into t select g, 'row ' || g from generate_series(1, EACH) g";
const WIDE = Array.from({ length: 50 }, (_, index) => `c${index}`);
const payload = (bytes: number, fewer = 1): Workload => ({
  name: `payload ${bytes}`,
  sql: (count) =>
    inTransactions(
      count,
      100,
      `insert into t select g, repeat('x', ${bytes}) from generate_series(1, EACH) g`,
    ),
  fewer,
});

const WORKLOADS: readonly Workload[] = [
  { name: "narrow, 1000 per transaction", sql: (count) => inTransactions(count, 1000, NARROW) },
  { name: "narrow, 1 per transaction", sql: (count) => inTransactions(count, 1, NARROW) },
  {
    name: "50 columns",
    fewer: 8,
    sql: (count) =>
      inTransactions(
        count,
        100,
        `insert into wide select ${WIDE.map(() => "g").join(",")} from generate_series(1, EACH) g`,
      ),
  },
  payload(64),
  payload(256),
  payload(1024, 2),
  payload(4096, 4),
  payload(16_384, 10),
  {
    name: "toasted updates",
    fewer: 4,
    sql: (count) => inTransactions(count, 100, "update toasted set n = n + 1 where id <= EACH"),
  },
];

async function prepare(lab: Lab): Promise<LabServer> {
  const server = await lab.primary("bench", SETTINGS);
  await server.sql("create table t (id int, v text)");
  await server.sql(`create table wide (${WIDE.map((name) => `${name} int`).join(", ")})`);
  await server.sql("create table toasted (id int primary key, n int, v text)");
  await server.sql("alter table toasted alter v set storage external");
  await server.sql(
    "insert into toasted select g, 0, repeat('y', 20000) from generate_series(1, 100) g",
  );
  await server.sql("create publication p for all tables");
  return server;
}

/** A slot at the beginning of a backlog; each drain has its copy. */
async function withBacklog<T>(server: LabServer, sql: string, work: () => Promise<T>): Promise<T> {
  await server.sql("select pg_create_logical_replication_slot('origin', 'pgoutput')");
  try {
    await server.sql(sql);
    await server.sql("checkpoint");
    return await work();
  } finally {
    await server.sql("select pg_drop_replication_slot('origin')");
    await server.sql("truncate t, wide");
  }
}

async function withSlot<T>(server: LabServer, work: (slot: string) => Promise<T>): Promise<T> {
  await server.sql("select pg_copy_logical_replication_slot('origin', 'copy')");
  try {
    return await work("copy");
  } finally {
    // The walsender of a drain that has just ended may still hold it.
    await server.sql(`do $$ begin
      for turn in 1..500 loop
        exit when not (select active from pg_replication_slots where slot_name = 'copy');
        perform pg_sleep(0.02);
      end loop;
      perform pg_drop_replication_slot('copy');
    end $$`);
  }
}

/** `port`: of a relay, where the server itself shall take no part. */
async function drain(
  server: LabServer,
  { contestant, rows, port = server.port }: Pick<Task, "contestant" | "rows"> & { port?: number },
): Promise<Drained> {
  const { host, user } = server;
  return await withSlot(server, async (slot) => {
    const task: Task = { contestant, host, port, user, slot, rows };
    const program = new URL("replication-drain.ts", import.meta.url).pathname;
    const args = [program, JSON.stringify(task)];
    return JSON.parse(
      await mustRun(process.execPath, args, { limitMs: DRAIN_LIMIT_MS }),
    ) as Drained;
  });
}

/** Its whole run, connecting included, to the end of the backlog. */
async function recvlogical(lab: Lab, server: LabServer): Promise<number> {
  const end = await server.value("select pg_current_wal_lsn()");
  const { host, port, user } = server;
  const options = ["-o", "proto_version=1", "-o", "publication_names=p", "--endpos", end];
  return await withSlot(server, async (slot) => {
    const reach = ["-h", host, "-p", `${port}`, "-U", user, "-d", "postgres", "-S", slot];
    const began = performance.now();
    const args = [...reach, "--start", "-f", "/dev/null", ...options];
    await mustRun(`${lab.binaries.dir}/pg_recvlogical`, args, { limitMs: DRAIN_LIMIT_MS });
    return performance.now() - began;
  });
}

interface Figures {
  readonly perSecond: number;
  readonly cpuSecondsPerMillion: number;
  readonly peakMb: number;
  readonly all: readonly Drained[];
}

function figuresOf(all: readonly Drained[]): Figures {
  return {
    perSecond: median(all.map(({ rows, ms }) => (rows / ms) * 1000)),
    cpuSecondsPerMillion: median(all.map(({ rows, cpuMs }) => (cpuMs / rows) * 1000)),
    peakMb: Math.max(...all.map(({ peakMb }) => peakMb)),
    all,
  };
}

const whole = (number: number) => Math.round(number).toLocaleString("en").padStart(10);

function print(name: string, { perSecond, cpuSecondsPerMillion, peakMb }: Figures): void {
  const cpu = cpuSecondsPerMillion.toFixed(2).padStart(6);
  console.log(
    `  ${name.padEnd(24)} ${whole(perSecond)} rows/s  ${cpu} CPU s per million  peak ${peakMb} MB`,
  );
}

async function measure(
  { lab, server, relay }: { readonly lab: Lab; readonly server: LabServer; readonly relay: Relay },
  { name, sql, fewer = 1 }: Workload,
  {
    rows,
    rounds,
    rival,
  }: { readonly rows: number; readonly rounds: number; readonly rival: boolean },
) {
  const count = Math.ceil(rows / fewer / 1000) * 1000;
  const contestants: readonly Contestant[] = [
    "ours",
    "ours, for await",
    "ours, raw",
    ...(rival ? (["rival"] as const) : []),
  ];
  return await withBacklog(server, sql(count), async () => {
    const drained: Samples = new Map();
    const alone: Samples = new Map();
    const floor: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      for (const contestant of round % 2 === 0 ? contestants : contestants.toReversed()) {
        const task = { contestant, rows: count };
        keep(drained, contestant, await drain(server, task));
        const one = await drain(server, { ...task, port: relay.port });
        keep(alone, contestant, one);
      }
      floor.push(await recvlogical(lab, server));
    }
    const rawPerSecond = (count / median(floor)) * 1000;
    console.log(`${name}: ${count} rows, ${rounds} rounds, medians`);
    console.log(` from the server  pg_recvlogical ${whole(rawPerSecond)} rows/s`);
    const from = report(drained);
    console.log(" the client alone, all of it waiting in a relay");
    const own = report(alone);
    const raw = (from["ours, raw"]?.perSecond ?? 0) / rawPerSecond;
    const ratios = { rival: ratio(from, "rival"), rivalAlone: ratio(own, "rival"), raw };
    const times = (one: number) => (Number.isNaN(one) ? "not measured" : `${one.toFixed(2)} ×`);
    console.log(
      ` beside the rival ${times(ratios.rival)}, the clients alone ${times(ratios.rivalAlone)}; ` +
        `raw beside pg_recvlogical ${times(ratios.raw)}`,
    );
    return { name, count, from, own, floorMs: floor, ratios };
  });
}

type Samples = Map<Contestant, Drained[]>;

function keep(samples: Samples, contestant: Contestant, one: Drained): void {
  samples.set(contestant, [...(samples.get(contestant) ?? []), one]);
}

function report(samples: Samples): Record<string, Figures> {
  const figures = [...samples].map(([name, all]) => [name, figuresOf(all)] as const);
  for (const [name, one] of figures) print(name, one);
  return Object.fromEntries(figures);
}

/** Of ours to another's; NaN where that was not measured. */
function ratio({ ours, ...others }: Record<string, Figures>, other: Contestant): number {
  return (ours?.perSecond ?? Number.NaN) / (others[other]?.perSecond ?? Number.NaN);
}

function isInstalled(): boolean {
  try {
    createRequire(import.meta.url).resolve("pg-logical-replication");
    return true;
  } catch (error) {
    if ((error as { code?: string }).code !== "MODULE_NOT_FOUND") throw error;
    console.log("pg-logical-replication is not installed (npm ci brings it): measured without it");
    return false;
  }
}

const { values: args } = readOptions({
  options: {
    rows: { type: "string", default: "200000" },
    rounds: { type: "string", default: "3" },
    only: { type: "string" },
    events: { type: "string" },
    json: { type: "string" },
  },
});
const rival = isInstalled();
const lab = await openLab(undefined);
let relay: Relay | undefined;
try {
  const server = await prepare(lab);
  relay = await openHeldRelay(server);
  const conditions = await conditionsOf(
    `postgresql://${server.user}@${server.host}:${server.port}/postgres`,
  );
  console.log(describeConditions(conditions));
  const results: unknown[] = [];
  if (args.events === undefined) {
    const size = {
      rows: positive("--rows", args.rows),
      rounds: positive("--rounds", args.rounds),
      rival,
    };
    for (const workload of WORKLOADS.filter(({ name }) => name.includes(args.only ?? "")))
      results.push(await measure({ lab, server, relay }, workload, size));
  } else {
    const events = positive("--events", args.events);
    const [narrow] = WORKLOADS;
    const one = await withBacklog(server, narrow?.sql(events) ?? "", () =>
      drain(server, { contestant: "ours", rows: events }),
    );
    print(`${events} events`, figuresOf([one]));
    console.log(`  resident memory after each tenth: ${one.residentMb.join(", ")} MB`);
    results.push(one);
  }
  console.log(`written to ${await writeResult("replication", { conditions, results }, args.json)}`);
} finally {
  await relay?.close();
  await lab.close();
}
