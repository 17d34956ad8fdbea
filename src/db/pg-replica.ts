/** The schema `pg_replica`, as the command line calls it. One function per SQL function. */
import type { ClientBase } from "pg";
import { z } from "zod";
import { callMany, callOne, type Queryable, run } from "./call.ts";
import { int8 } from "./rows.ts";

const int8OrNull = int8.nullable();
const time = z.date().nullable();

export const StatusRow = z.object({
  node_id: z.int(),
  name: z.string(),
  host: z.string().nullable(),
  port: z.int().nullable(),
  raft_role: z.string(),
  role: z.string(),
  goal: z.string().nullable(),
  state: z.string(),
  writable: z.boolean(),
  term: int8OrNull,
  epoch: int8OrNull,
  timeline: z.int().nullable(),
  wal_lsn: z.string().nullable(),
  replay_lsn: z.string().nullable(),
  lag_bytes: int8OrNull,
  lag_ms: int8OrNull,
  sync_state: z.string().nullable(),
  priority: z.int().nullable(),
  promotable: z.boolean().nullable(),
  reason: z.string().nullable(),
  observed_at: time,
});
export type StatusRow = z.infer<typeof StatusRow>;

/** One row per member, by id: what this node knows now, without asking for a quorum. */
export function status(db: Queryable): Promise<StatusRow[]> {
  return callMany(db, StatusRow, { text: "select * from pg_replica.status()" });
}

export const ClusterRow = z.object({
  cluster_id: z.string(),
  leader_id: z.int().nullable(),
  primary_id: z.int().nullable(),
  term: int8OrNull,
  epoch: int8OrNull,
  members: z.int(),
  voters: z.int(),
  quorum: z.int(),
  has_quorum: z.boolean(),
  writable: z.boolean(),
  commit_rule: z.string().nullable(),
  failover: z.string(),
  failover_reason: z.string().nullable(),
  paused: z.boolean(),
});
export type ClusterRow = z.infer<typeof ClusterRow>;

export function cluster(db: Queryable): Promise<ClusterRow> {
  return callOne(db, ClusterRow, { text: "select * from pg_replica.cluster()" });
}

const EventRow = z.object({
  event_id: int8,
  at: z.date(),
  epoch: int8OrNull,
  node_id: z.int().nullable(),
  event: z.string(),
  reason: z.string().nullable(),
});
export type EventRow = z.infer<typeof EventRow>;

/** Events after `afterId`, oldest first; ids have no gaps and are the same on every node. */
export function events(db: Queryable, afterId: bigint): Promise<EventRow[]> {
  return callMany(db, EventRow, {
    name: "pg_replica.events",
    text: "select * from pg_replica.events(after_id => $1) order by event_id",
    values: [afterId],
  });
}

/** Call back whenever an event may have been added, for as long as the connection lasts (H65: a hint). */
export async function listenForEvents(client: ClientBase, onNews: () => void): Promise<void> {
  client.on("notification", onNews);
  await run(client, { text: "listen pg_replica_event" });
  await run(client, { text: "listen pg_replica_leader" });
}

/** The newest event this node knows of; 0 before the first. */
export async function lastEventId(db: Queryable): Promise<bigint> {
  const { last } = await callOne(db, z.object({ last: int8 }), {
    text: "select coalesce(max(event_id), 0) as last from pg_replica.events",
  });
  return last;
}

const ProgressRow = z.object({
  node_id: z.int(),
  job: z.string(),
  phase: z.string(),
  done_bytes: int8,
  total_bytes: int8OrNull,
});
export type ProgressRow = z.infer<typeof ProgressRow>;

export function progress(db: Queryable): Promise<ProgressRow[]> {
  return callMany(db, ProgressRow, {
    name: "pg_replica.progress",
    text: "select * from pg_replica.progress()",
  });
}

export const RequestRow = z.object({
  request_id: int8,
  kind: z.string(),
  state: z.enum(["done", "failed", "waiting", "running", "unknown"]),
  from_node: z.int().nullable(),
  to_node: z.int().nullable(),
  epoch: int8OrNull,
  reason: z.string().nullable(),
  requested_by: z.string().nullable(),
  requested_at: time,
  finished_at: time,
  write_gap_ms: z.int().nullable(),
});
export type RequestRow = z.infer<typeof RequestRow>;

/** Ends within `waitMs`; a row that then says `running` or `waiting` goes on without us. */
export function failover(
  db: Queryable,
  ask: {
    readonly target: string | undefined;
    readonly allowDataLoss: boolean;
    readonly waitMs: number;
  },
): Promise<RequestRow> {
  return callOne(db, RequestRow, {
    text: `
      select *
        from pg_replica.failover(
          target => $1::text, allow_data_loss => $2, wait_ms => $3)`,
    values: [ask.target ?? null, ask.allowDataLoss, ask.waitMs],
  });
}

/** Planned: no acknowledged commit lost, no rewind, or an error and the old primary goes on. */
export function switchover(
  db: Queryable,
  ask: {
    readonly target: string | undefined;
    /** Not before this time; PostgreSQL reads it. */
    readonly at: string | undefined;
    readonly waitMs: number;
  },
): Promise<RequestRow> {
  return callOne(db, RequestRow, {
    text: `
      select *
        from pg_replica.switchover(
          target => $1::text, at => $2::timestamptz, wait_ms => $3)`,
    values: [ask.target ?? null, ask.at ?? null, ask.waitMs],
  });
}

/** This node alone goes on, and the others are given up. Only when a majority is lost for good. */
export function recover(
  db: Queryable,
  ask: { readonly force: boolean; readonly reason: string | undefined },
): Promise<RequestRow> {
  return callOne(db, RequestRow, {
    text: `
      select *
        from pg_replica.recover(force => $1, reason => $2)`,
    values: [ask.force, ask.reason ?? null],
  });
}

/** No automatic failover until `resume`; fencing stays. Needs a quorum. */
export async function pause(db: Queryable, why: string): Promise<void> {
  const row = z.object({ paused: z.boolean() });
  await callOne(db, row, {
    text: "select pg_replica.pause(why => $1) as paused",
    values: [why],
  });
}

export async function resume(db: Queryable): Promise<void> {
  const row = z.object({ resumed: z.boolean() });
  await callOne(db, row, { text: "select pg_replica.resume() as resumed" });
}

const Founder = z.object({
  id: z.int(),
  name: z.string(),
  host: z.string(),
  port: z.int(),
  dataHost: z.string().optional(),
  dataPort: z.int().optional(),
});
const Invitation = z
  .object({
    cluster_id: z.string(),
    cluster: z.string(),
    founders: z.array(Founder),
    members: z.array(z.int()),
  })
  .transform(({ cluster_id, ...rest }) => ({ clusterId: cluster_id, ...rest }));

/** What a node that is to join must know; no secret is in it. */
export async function invitation(db: Queryable): Promise<z.infer<typeof Invitation>> {
  const row = z.object({ invitation: Invitation });
  const found = await callOne(db, row, { text: "select pg_replica.invitation() as invitation" });
  return found.invitation;
}

/** The node whose control store answers at `dsn` becomes a member. */
export async function addNode(
  db: Queryable,
  ask: { readonly dsn: string; readonly voter: boolean; readonly priority: number },
): Promise<number> {
  const { id } = await callOne(db, z.object({ id: z.int() }), {
    text: "select pg_replica.add_node(dsn => $1, voter => $2, priority => $3) as id",
    values: [ask.dsn, ask.voter, ask.priority],
  });
  return id;
}
