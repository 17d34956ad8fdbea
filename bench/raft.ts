/**
 * The log as a service beside etcd, by turns on one machine: three nodes each, values of 256 bytes, every write synced.
 *
 *   node bench/raft.ts [--seconds 5] [--rounds 2] [--only WORDS]… [--json FILE]
 *
 * Ours are plain SQL clients on the leader's control store, where no other place is named; etcd's speak gRPC to its
 * leader. At the end this process runs the leader's worker itself, on three nodes of their own, and proposes to it.
 * Every workload warms up before it counts, and contestants take turns, the order reversed each round. `--only`:
 * contestants of ours whose name holds the words, beside etcd's. Without etcd (Debian: etcd-server) ours are measured
 * alone.
 */
import { rm } from "node:fs/promises";
import pg from "pg";
import { readOptions } from "../scripts/options.ts";
import { startCluster, temporaryFolder } from "../test/support/cluster.ts";
import { untilHealthy } from "../test/support/health.ts";
import { startInProcess } from "../test/support/in-process.ts";
import { conditionsOf, describeConditions, positive, writeResult } from "./conditions.ts";
import { type Etcd, startEtcd } from "./etcd.ts";
import { type Summary, summarize } from "./stats.ts";

const VALUE = "v".repeat(256);
const MANY = Number(process.env.MANY ?? 64);
const BATCH = 100;
const KEYS = 1000;
/** Proposals of one process that are under way at once. */
const IN_PROCESS = 1024;

interface Client {
  /** One operation; `serial` grows by one with each of this client's. */
  one(serial: number): Promise<unknown>;
  close(): Promise<void> | void;
}

interface Contestant {
  readonly name: string;
  readonly clients: number;
  /** What one operation writes or reads. */
  readonly entries: number;
  open(id: number): Promise<Client>;
}

interface Measured extends Summary {
  readonly perSecond: number;
}

function sql(uri: string, text: string, values: (serial: number, id: number) => unknown[]) {
  return async (id: number): Promise<Client> => {
    const client = new pg.Client(uri);
    await client.connect();
    return {
      one: (serial) => client.query({ name: "bench", text, values: values(serial, id) }),
      close: () => client.end(),
    };
  };
}

function etcd(rival: Etcd, what: "put" | "get") {
  return async (id: number): Promise<Client> => {
    const client = rival.open();
    return {
      one: (serial) =>
        what === "put" ? client.put(keyOf(serial, id), VALUE) : client.get(keyOf(serial, id)),
      close: () => client.close(),
    };
  };
}

const keyOf = (serial: number, id: number) => `k${(serial * MANY + id) % KEYS}`;

/** For so long, all clients at once, each one call after the other. */
async function measure(of: Contestant, seconds: number): Promise<Measured> {
  const clients = await Promise.all(Array.from({ length: of.clients }, (_, id) => of.open(id)));
  try {
    await drive(clients, Math.min(1, seconds / 3));
    const times: number[] = [];
    const took = await drive(clients, seconds, times);
    return { ...summarize(times), perSecond: (times.length * of.entries * 1000) / took };
  } finally {
    await Promise.all(clients.map((client) => client.close()));
  }
}

async function drive(
  clients: readonly Client[],
  seconds: number,
  times: number[] = [],
): Promise<number> {
  const since = performance.now();
  const end = since + seconds * 1000;
  const run = async (client: Client) => {
    for (let serial = 0; performance.now() < end; serial += 1) {
      const began = performance.now();
      await client.one(serial);
      times.push(performance.now() - began);
    }
  };
  await Promise.all(clients.map(run));
  return performance.now() - since;
}

function theirs(
  rival: Etcd | undefined,
  name: string,
  clients: number,
  what: "put" | "get",
): Contestant[] {
  return rival === undefined ? [] : [{ name, clients, entries: 1, open: etcd(rival, what) }];
}

interface Uris {
  readonly leader: string;
  readonly follower: string;
  /** The data servers of both nodes. */
  readonly leaderData: string;
  readonly followerData: string;
}

function contestants(
  { leader, follower, leaderData, followerData }: Uris,
  rival: Etcd | undefined,
) {
  const append = (uri: string) => sql(uri, "select pg_replica.replicate($1::text)", () => [VALUE]);
  const replicate = append(leader);
  const items = Array.from({ length: BATCH }, () => VALUE);
  const batch = sql(leader, "select pg_replica.replicate($1::text[])", () => [items]);
  const get = (uri: string, consistency: string) =>
    sql(uri, "select pg_replica.kv_get($1, $2)", (serial, id) => [keyOf(serial, id), consistency]);
  const put = sql(leader, "select pg_replica.kv_put($1, $2)", (serial, id) => [
    keyOf(serial, id),
    VALUE,
  ]);
  const ours = (name: string, clients: number, open: Contestant["open"], entries = 1) => ({
    ...{ name, clients, entries, open },
  });
  return [
    [...theirs(rival, "etcd put, 1 client", 1, "put"), ours("replicate, 1 client", 1, replicate)],
    [ours("kv_put, 1 client", 1, put)],
    [
      ...theirs(rival, `etcd put, ${MANY} clients`, MANY, "put"),
      ours(`replicate, ${MANY} clients`, MANY, replicate),
      ours(`replicate(${BATCH} items), 8 clients`, 8, batch, BATCH),
    ],
    [
      ...theirs(rival, "etcd get, 1 client", 1, "get"),
      ours("kv_get, 1 client", 1, get(leader, "linearizable")),
      ours("kv_get local on a follower, 1 client", 1, get(follower, "local")),
    ],
    [
      ...theirs(rival, `etcd get, ${MANY} clients`, MANY, "get"),
      ours(`kv_get, ${MANY} clients`, MANY, get(leader, "linearizable")),
    ],
    [
      ours("replicate on a follower, 1 client", 1, append(follower)),
      ours("replicate on the leader's data server, 1 client", 1, append(leaderData)),
      ours("replicate on a follower's data server, 1 client", 1, append(followerData)),
    ],
    [
      ours("kv_get on a follower, 1 client", 1, get(follower, "linearizable")),
      ours("kv_get local on a data server, 1 client", 1, get(leaderData, "local")),
    ],
  ] satisfies Contestant[][];
}

function line(name: string, m: Measured, against: Measured | undefined): string {
  const ms = [m.p50, m.p99, m.max].map((one) => one.toFixed(2).padStart(9)).join(" ");
  const ratio =
    against === undefined
      ? ""
      : `   ${(m.perSecond / against.perSecond).toFixed(2)} x in number, ${(m.p50 / against.p50).toFixed(2)} x in p50`;
  return `${name.padEnd(44)} ${`${m.n}`.padStart(7)} ${m.perSecond.toFixed(0).padStart(8)}/s ${ms}${ratio}`;
}

/** Those that were asked for, and etcd beside them. */
function asked(group: readonly Contestant[]): Contestant[] {
  const wanted = ({ name }: Contestant) => only.some((words) => name.includes(words));
  const isRival = ({ name }: Contestant) => name.startsWith("etcd");
  if (only.length === 0) return [...group];
  return group.some(wanted) ? group.filter((one) => wanted(one) || isRival(one)) : [];
}

/** Groups one after the other; in each its contestants by turns, and a line for the middle round of each. */
async function compete(groups: readonly Contestant[][]): Promise<Record<string, Measured[]>> {
  const found: Record<string, Measured[]> = {};
  for (const group of groups.map(asked)) {
    for (let round = 0; round < rounds; round += 1) {
      for (const one of round % 2 === 0 ? group : group.toReversed()) {
        const measured = await measure(one, seconds);
        found[one.name] = [...(found[one.name] ?? []), measured];
      }
    }
    const middle = group.map(({ name }) => {
      const all = found[name] ?? [];
      const sorted = all.toSorted((a, b) => a.perSecond - b.perSecond);
      return { name, of: sorted[Math.floor(all.length / 2)] };
    });
    const against = middle.find(({ name }) => name.startsWith("etcd"))?.of;
    for (const { name, of } of middle) {
      if (of !== undefined) console.log(line(name, of, of === against ? undefined : against));
    }
  }
  return found;
}

/** This process as the leader's worker. */
async function competeInProcess(rival: Etcd | undefined): Promise<Record<string, Measured[]>> {
  if (only.length > 0 && !only.some((words) => words.includes("worker"))) return {};
  const here = await startInProcess();
  const open = async (): Promise<Client> => ({
    one: () => here.worker.replicate(VALUE),
    close: () => undefined,
  });
  const name = `in the leader's worker, ${IN_PROCESS} under way`;
  try {
    return await compete([
      [
        ...theirs(rival, `etcd put, ${MANY} clients beside`, MANY, "put"),
        { name, clients: IN_PROCESS, entries: 1, open },
        { name: "in the leader's worker, 1 under way", clients: 1, entries: 1, open },
      ],
    ]);
  } finally {
    await here.close();
  }
}

async function competeInSql(rival: Etcd | undefined) {
  const cluster = await startCluster({ nodes: 3 });
  try {
    const { leader } = await untilHealthy(cluster);
    const follower = cluster.nodes.find(({ id }) => id !== leader)?.id ?? 0;
    const uris = {
      leader: cluster.node(leader).control.uri,
      follower: cluster.node(follower).control.uri,
      leaderData: cluster.node(leader).data.uri,
      followerData: cluster.node(follower).data.uri,
    };
    const conditions = await conditionsOf(uris.leader);
    console.log(describeConditions(conditions));
    console.log(rival === undefined ? "etcd is not installed: ours alone" : rival.version);
    console.log(`\n${"".padEnd(44)}       n                  p50       p99       max ms`);
    return { conditions, found: await compete(contestants(uris, rival)) };
  } finally {
    await cluster.discard("remove");
  }
}

const { values: args } = readOptions({
  options: {
    seconds: { type: "string", default: "5" },
    rounds: { type: "string", default: "2" },
    only: { type: "string", multiple: true, default: [] },
    json: { type: "string" },
  },
});
const seconds = positive("--seconds", args.seconds);
const rounds = positive("--rounds", args.rounds);
const { only } = args;
const folder = await temporaryFolder("etcd");
const rival = await startEtcd(folder);
try {
  const { conditions, found } = await competeInSql(rival);
  const all = { ...found, ...(await competeInProcess(rival)) };
  const result = { conditions, etcd: rival?.version, seconds, rounds, found: all };
  console.log(`\nwritten to ${await writeResult("raft", result, args.json)}`);
} finally {
  await rival?.close();
  await rm(folder, { recursive: true, force: true });
}
