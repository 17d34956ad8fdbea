/** Data servers on real PostgreSQL under agents whose committed state is made by hand: no control store takes part. */
import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ACTS } from "../../src/agent/acts.ts";
import { createAgent } from "../../src/agent/agent.ts";
import type { Agent, LongWork, Order } from "../../src/agent/context.ts";
import { classify } from "../../src/agent/disk.ts";
import type { LeaseSource } from "../../src/agent/lease.ts";
import { look } from "../../src/agent/observe.ts";
import { fenceServer } from "../../src/agent/servers.ts";
import type { NodeStore } from "../../src/agent/store.ts";
import { monotonicClock, waitUntil } from "../../src/clock/clock.ts";
import type { Config } from "../../src/config/schema.ts";
import { type Lsn, nodeRole, standbyName } from "../../src/core/ids.ts";
import { connect } from "../../src/db/connect.ts";
import type { AgentView } from "../../src/db/node.ts";
import { type Log, silentLog } from "../../src/log/logger.ts";
import { type Binaries, findBinaries } from "../../src/postgres/binaries.ts";
import { exists } from "../../src/postgres/files.ts";
import { type Owner, serverOwner } from "../../src/postgres/owner.ts";
import { rewind } from "../../src/postgres/pg-rewind.ts";
import { takeBaseBackup } from "../../src/replication/base-backup.ts";
import { installTls } from "../../src/worker/tls-files.ts";
import { type Authority, issueInto } from "../support/certificates.ts";

/** A majority that confirms this node at every moment. */
export const alwaysConfirmed: LeaseSource = {
  confirmedAt: () => monotonicClock.now(),
  askLease: async () => [],
};

export const CLUSTER_ID = "6e8bc430-9c3a-11d9-9669-0800200c9a66";
const incarnationOf = (id: number) => `0000000${id}-0000-4000-8000-00000000000${id}`;

/** What a control store would keep of a node's promises, with its one rule: nothing below the pledge. */
export interface Kept {
  view: AgentView;
  readonly reports: { epoch: bigint; lsn: Lsn; evidence: string }[];
  readonly voids: { epoch: bigint; nothingFrom: bigint; evidence: string }[];
  readonly handed: { epoch: bigint; shutdownLsn?: Lsn; problem?: string }[];
  readonly rows: Readonly<Record<string, unknown>>[];
  readonly acts: { event: string; reason: string }[];
  dataLife: readonly string[];
}

export interface Node {
  readonly id: number;
  readonly agent: Agent;
  readonly kept: Kept;
  readonly port: number;
  readonly dir: string;
}

export interface Bench {
  readonly nodes: readonly Node[];
  readonly binaries: Binaries;
  readonly owner: Owner | undefined;
  node(id: number): Node;
  /** Commit something: every node's view becomes `part`, `goal` per node. */
  commit(part: Partial<AgentView>, goal?: (id: number) => AgentView["goal"]): void;
  /** As when the workers end: nobody keeps the leases any more. */
  leave(): Promise<void>;
  stop(): Promise<void>;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

export async function openBench(
  count: number,
  log: Log = silentLog,
  authority?: Authority,
): Promise<Bench> {
  const owner = await serverOwner("postgres");
  const binaries = await findBinaries({ owner });
  const top = await mkdtemp(join(tmpdir(), "pgr-agent-"));
  await chmod(top, 0o755);
  const ids = Array.from({ length: count }, (_, index) => index + 1);
  for (const id of ids) await mkdir(join(top, `node${id}`), { mode: 0o755 });
  const ports = await Promise.all(ids.map(() => freePort()));
  const members = ids.map((id) => ({
    node_id: id,
    name: `n${id}`,
    incarnation: incarnationOf(id),
    data_host: "127.0.0.1",
    data_port: ports[id - 1] as number,
    clone_from: false,
  }));
  const nodes = ids.map((id) => {
    const dir = join(top, `node${id}`);
    const config = configOf(id, dir, ports[id - 1] as number, members);
    return openNode({ id, dir, config, members, binaries, owner, log });
  });
  for (const { agent, dir } of authority === undefined ? [] : nodes) {
    await certified(agent, dir, authority as Authority);
  }
  const leaving = new AbortController();
  const keeping = Promise.all(nodes.map(({ agent }) => agent.lease.run(leaving.signal)));
  const leave = async () => {
    leaving.abort();
    await keeping;
  };
  const bench: Bench = {
    leave,
    nodes,
    binaries,
    owner,
    node: (id) => nodes[id - 1] as Node,
    commit: (part, goal) => {
      for (const { id, agent, kept } of nodes) {
        kept.view = { ...kept.view, ...part, goal: goal?.(id) ?? kept.view.goal };
        agent.view = kept.view;
      }
    },
    stop: async () => {
      await leave();
      for (const { agent } of nodes) {
        await fenceServer(agent, "end of the test");
        await agent.lease.release();
      }
      await rm(top, { recursive: true, force: true });
    },
  };
  return bench;
}

/** What the worker does before there are servers. */
async function certified({ config, owner }: Agent, dir: string, authority: Authority) {
  const subject = { commonName: nodeRole(config.node.id), hosts: ["127.0.0.1"] };
  const paths = await issueInto(dir, "node", authority, subject);
  await installTls(Object.assign(config, { tls: { ...paths, mode: "only" } }), owner);
}

function configOf(id: number, dir: string, port: number, members: AgentView["members"]): Config {
  return {
    cluster: "bench",
    clusterId: CLUSTER_ID,
    node: { id, name: `n${id}` },
    dir,
    data: {
      dir: join(dir, "data"),
      host: "127.0.0.1",
      port,
      listen: "127.0.0.1",
      settings: { max_connections: "40", shared_buffers: "16MB" },
      logical: false,
      hba: ["host all all 127.0.0.1/32 scram-sha-256"],
    },
    control: {
      dir: join(dir, "control"),
      host: "127.0.0.1",
      port: 1,
      listen: "127.0.0.1",
      hba: [],
    },
    peers: members.map((member) => ({ id: member.node_id, name: member.name, host: "x", port: 1 })),
    runAs: "postgres",
    peerSecret: "a secret for tests only",
    superuserPassword: "test",
    syncMode: "quorum",
    strictReads: false,
    raft: { maxLogEntries: 10_000, maxLogBytes: 64 * 1024 * 1024 },
    watchdog: "off",
    timing: { heartbeatMs: 100, electionMs: 1000, probeMs: 100, silentMs: 1000, leaseMs: 3000 },
    logLevel: "info",
  };
}

function openNode(o: {
  id: number;
  dir: string;
  config: Config;
  members: AgentView["members"];
  binaries: Binaries;
  owner: Owner | undefined;
  log: Log;
}): Node {
  const kept: Kept = {
    view: firstView(o.id, o.members),
    reports: [],
    voids: [],
    handed: [],
    rows: [],
    acts: [],
    dataLife: [],
  };
  const { binaries, owner, config, log } = o;
  const agent = createAgent({
    config,
    binaries,
    owner,
    clock: monotonicClock,
    work: markedWork(binaries, join(o.dir, "data.marker")),
    log: log.child({ node: o.id }),
    store: storeOn(kept),
    view: kept.view,
    nudge: () => undefined,
    lease: { source: alwaysConfirmed, random: () => 0.5 },
  });
  return { id: o.id, agent, kept, port: config.data?.port ?? 0, dir: o.dir };
}

/** Long work done here and now: there is no control store, and so no queue. */
export function directWork(binaries: Binaries): LongWork {
  return {
    copy: (order) => takeBaseBackup({ ...order, clock: monotonicClock }),
    rewind: (order) => rewind({ ...order, binaries }),
  };
}

/** Nothing is rewound before the marker stands (H04): whatever interrupts it then, what is left is never started. */
function markedWork(binaries: Binaries, marker: string): LongWork {
  const work = directWork(binaries);
  const rewindMarked: LongWork["rewind"] = async (order) => {
    if (!(await exists(marker))) throw new Error(`no ${marker}, and a rewind begins`);
    return work.rewind(order);
  };
  return { ...work, rewind: rewindMarked };
}

/** A store in memory that keeps the promises of `node.*`. */
function storeOn(kept: Kept): NodeStore {
  return {
    view: async () => kept.view,
    observe: async (row) => void kept.rows.push(row),
    makeReport: async (epoch, lsn, evidence) => {
      if (epoch !== kept.view.pledge) throw new Error(`the pledge is for ${kept.view.pledge}`);
      kept.reports.push({ epoch, lsn, evidence });
      kept.view = { ...kept.view, reported: true };
    },
    makeVoidReport: async (epoch, nothingFrom, evidence) => {
      if (epoch !== kept.view.pledge) throw new Error(`the pledge is for ${kept.view.pledge}`);
      kept.voids.push({ epoch, nothingFrom, evidence });
      kept.view = { ...kept.view, reported: true };
    },
    follow: async (epoch) => {
      if (epoch < kept.view.pledge) throw new Error(`${epoch} is below the pledge`);
      kept.view = { ...kept.view, followed: epoch };
    },
    recall: async (epoch) => {
      kept.view = { ...kept.view, followed: epoch };
    },
    handOverDone: async (epoch, outcome) => {
      kept.handed.push({ epoch, ...outcome });
      kept.view = { ...kept.view, handed_over: true };
    },
    noteAct: async (act) => void kept.acts.push(act),
    lastEvent: async (events) =>
      kept.acts.findLast(({ event }) => events.includes(event))?.event ?? null,
    dataLife: async () => kept.dataLife,
    setDataLife: async (numbers) => {
      kept.dataLife = numbers;
    },
    setProgress: async () => undefined,
    clearProgress: async () => undefined,
  };
}

function firstView(id: number, members: AgentView["members"]): AgentView {
  return {
    node_id: id,
    cluster_id: CLUSTER_ID,
    incarnation: incarnationOf(id),
    term: 1n,
    leader_id: 1,
    system_identifier: null,
    formed: false,
    paused: false,
    pledge: 0n,
    followed: 0n,
    epoch: 0n,
    epoch_state: "none",
    primary_id: null,
    old_primary: null,
    goal: "none",
    goal_why: "test",
    timeline: null,
    from_lsn: null,
    switch_lsn: null,
    stamp_lsn: null,
    handover_to: null,
    old_fenced: false,
    highest_timeline: 1,
    mode: "quorum",
    rule_version: 0n,
    rule_k: 0,
    rule_cohort: [1],
    standby_names: "",
    members,
    history: [],
    reported: false,
    handed_over: false,
  };
}

/** The order that belongs to what is committed now. */
export function orderFor(node: Node, signal = new AbortController().signal): Order {
  node.agent.view = node.kept.view;
  return { epoch: node.kept.view.epoch, view: node.kept.view, why: "test", signal };
}

export function namesFor(bench: Bench, k: number): string {
  const names = bench.nodes.map(({ id }) => standbyName(id, incarnationOf(id)));
  return k === 0 ? "" : `ANY ${k} (${names.join(", ")})`;
}

export async function sql<Row>(node: Node, text: string): Promise<Row[]> {
  const client = await connect({
    host: join(node.dir, "run", "data"),
    port: node.port,
    user: "postgres",
    applicationName: "test",
    connectLimitMs: 3000,
  });
  try {
    const { rows } = await client.query(text);
    return rows as Row[];
  } finally {
    await client.end();
  }
}

/** As a new standby does it, until it streams. */
export async function copyAndJoin(node: Node): Promise<void> {
  await ACTS.clone(node.agent, orderFor(node));
  await ACTS.join(node.agent, orderFor(node));
  await untilStreaming(node);
}

/** A primary, a standby that streams from it as a member, and a table `t`. */
export async function openPair(log?: Log, authority?: Authority): Promise<Bench> {
  const bench = await openBench(2, log, authority);
  try {
    await serve(bench);
    await copyAndJoin(bench.node(2));
    await sql(bench.node(1), "create table t (n int)");
    return bench;
  } catch (error) {
    await bench.stop();
    throw error;
  }
}

/** A client over TCP, as the superuser with its password. */
export function client(node: Node) {
  return connect({
    host: "127.0.0.1",
    port: node.port,
    user: "postgres",
    password: "test",
    applicationName: "client",
    connectLimitMs: 3000,
  });
}

export const within = (limitMs: number) => ({ clock: monotonicClock, everyMs: 10, limitMs });

export async function untilStreaming(node: Node): Promise<void> {
  await waitUntil(`node ${node.id} streams`, within(10_000), async () => {
    await look(node.agent);
    return node.agent.state.look?.receiver === "streaming";
  });
}

/** Found on node 1 and promote it in epoch 1: alone, with k = 0. */
export async function serve(bench: Bench): Promise<void> {
  const first = bench.node(1);
  await ACTS.found(first.agent, orderFor(first));
  const { systemIdentifier } = await classify(first.agent);
  bench.commit(
    {
      system_identifier: systemIdentifier ?? "",
      epoch: 1n,
      epoch_state: "appointed",
      primary_id: 1,
      timeline: 2,
      pledge: 1n,
      history: [{ epoch: 1n, node_id: 1, timeline: 2, switch_lsn: 0n, from_epoch: 0n }],
    },
    (id) => (id === 1 ? "primary" : "standby"),
  );
  await ACTS.start(first.agent, orderFor(first));
  await ACTS.promote(first.agent, orderFor(first));
  const { switchLsn = 0n, stampLsn = 0n } = first.agent.state.leads ?? {};
  bench.commit({
    epoch_state: "serving",
    switch_lsn: switchLsn,
    stamp_lsn: stampLsn,
    history: [{ epoch: 1n, node_id: 1, timeline: 2, switch_lsn: switchLsn, from_epoch: 0n }],
  });
}
