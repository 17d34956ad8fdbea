/** What a cluster looks like from outside, judged by its servers first and by its own SQL second. */
import type { ClusterView } from "./cluster.ts";
import { firstAnswer, type Row, rows, value } from "./sql.ts";
import { NotYet, until } from "./until.ts";

export interface StatusRow extends Row {
  readonly node_id: number;
  readonly name: string;
  readonly port: number | null;
  readonly raft_role: string;
  readonly role: string;
  readonly goal: string;
  readonly state: string;
  readonly writable: boolean;
  readonly term: string;
  readonly epoch: string;
  readonly timeline: number;
  readonly sync_state: string;
  readonly reason: string;
}

export interface ClusterRow extends Row {
  readonly leader_id: number | null;
  readonly primary_id: number | null;
  readonly epoch: string;
  readonly writable: boolean;
  readonly has_quorum: boolean;
  readonly commit_rule: string;
  readonly failover: string;
  readonly failover_reason: string;
  readonly paused: boolean;
}

export interface Healthy {
  readonly primary: number;
  readonly leader: number;
  readonly epoch: bigint;
  /** All other nodes, in order of id. */
  readonly standbys: readonly number[];
}

const quick = { connectMs: 800, answerMs: 3000 };

/** `pg_replica.status()` from the first control store that answers. */
export function status(cluster: ClusterView): Promise<StatusRow[]> {
  return firstAnswer(cluster.controlUris(), (uri) =>
    rows<StatusRow>(uri, "select * from pg_replica.status()", [], quick),
  );
}

/** `pg_replica.cluster()` from the first control store that answers. */
export async function clusterRow(cluster: ClusterView): Promise<ClusterRow> {
  const [row] = await firstAnswer(cluster.controlUris(), (uri) =>
    rows<ClusterRow>(uri, "select * from pg_replica.cluster()", [], quick),
  );
  if (row === undefined) throw new Error("pg_replica.cluster() gave no row");
  return row;
}

/** Ids of data servers that let a client in and are not in recovery. */
export async function primaries(cluster: ClusterView): Promise<number[]> {
  const asked = cluster.nodes.map(async ({ id, data }) => {
    const answer = await value(data.uri, "select pg_is_in_recovery()", [], quick).catch(() => "");
    return answer === "false" ? [id] : [];
  });
  return (await Promise.all(asked)).flat();
}

/** Throws, saying what is missing, unless every member does what it should. */
export async function assertHealthy(cluster: ClusterView): Promise<Healthy> {
  await cluster.refresh();
  const found = await primaries(cluster);
  const [primary] = found;
  if (primary === undefined || found.length > 1) throw new NotYet(`primaries: [${found}]`);
  const standbys = cluster.nodes.map(({ id }) => id).filter((id) => id !== primary);
  await assertStreaming(cluster, primary, standbys.length);
  const row = await clusterRow(cluster);
  const told = `cluster(): ${JSON.stringify(row)}`;
  if (!row.writable || row.primary_id !== primary || row.leader_id === null) throw new NotYet(told);
  if (standbys.length > 0 && row.failover !== "ready") throw new NotYet(told);
  await assertStatus(cluster, primary);
  return { primary, standbys, leader: row.leader_id, epoch: BigInt(row.epoch) };
}

async function assertStreaming(
  cluster: ClusterView,
  primary: number,
  wanted: number,
): Promise<void> {
  const { uri } = cluster.node(primary).data;
  const senders = await rows(
    uri,
    // Change streams stand there too.
    `select s.application_name, s.state, s.sync_state from pg_stat_replication as s
       left join pg_replication_slots as l on l.active_pid = s.pid
      where l.slot_type is distinct from 'logical' order by 1`,
    [],
    quick,
  );
  const good = senders.filter((one) => one.state === "streaming" && one.sync_state === "quorum");
  if (good.length !== wanted || senders.length !== wanted) {
    throw new NotYet(`senders of node ${primary}: ${JSON.stringify(senders)}`);
  }
  // An empty transaction with a number commits through the synchronous standbys.
  await rows(uri, "select pg_current_xact_id()", [], quick);
}

async function assertStatus(cluster: ClusterView, primary: number): Promise<void> {
  // A witness has no data server that could be looked at.
  const members = (await status(cluster)).filter(({ port }) => port !== null);
  const wrong = members.filter((member) =>
    member.node_id === primary
      ? member.role !== "primary" || member.state !== "running" || !member.writable
      : member.role !== "standby" || member.state !== "streaming" || member.writable,
  );
  if (members.length !== cluster.size || wrong.length > 0) {
    throw new NotYet(`status(): ${JSON.stringify(wrong)}`);
  }
}

/** Wait until the whole cluster is as it should be; milliseconds. */
export function untilHealthy(cluster: ClusterView, limitMs = 60_000): Promise<Healthy> {
  return until("the cluster is healthy", { limitMs, everyMs: 200 }, () => assertHealthy(cluster));
}

/** Wait until a node other than `old` is the one primary that lets clients in. */
export function untilNewPrimary(
  cluster: ClusterView,
  old: number,
  limitMs = 10_000,
): Promise<number> {
  return until("another node is primary", { limitMs, everyMs: 20 }, async () => {
    const found = (await primaries(cluster)).filter((id) => id !== old);
    return found[0];
  });
}

/** Run one statement as a client would: each data server in turn, until one of them takes it. */
export async function onPrimary<T extends Row = Row>(
  cluster: ClusterView,
  text: string,
  values: readonly unknown[] = [],
  limitMs = 10_000,
): Promise<T[]> {
  return await until(`a primary takes: ${text}`, { limitMs, everyMs: 20 }, async () => {
    const [primary] = await primaries(cluster);
    if (primary === undefined) throw new NotYet("no primary");
    return await rows<T>(cluster.node(primary).data.uri, text, values);
  });
}
