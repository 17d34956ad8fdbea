/** The schema `cluster`: the replicated state, as the leader reads it. */
import { z } from "zod";
import { callOne, type Queryable } from "./call.ts";
import { int8, lsn, Observed } from "./rows.ts";

const Member = z.object({
  node_id: z.int(),
  name: z.string(),
  incarnation: z.string().nullable(),
  data_host: z.string().nullable(),
  data_port: z.int().nullable(),
  control_host: z.string(),
  control_port: z.int(),
  voter: z.boolean(),
  /** It is to vote, as soon as it has caught up with the log. */
  wants_vote: z.boolean(),
  promotable: z.boolean(),
  priority: z.int(),
  /** Its confirmation may count for commits. */
  sync: z.boolean(),
  leaving: z.boolean(),
  /** While it is a standby, others copy their data from it rather than from the primary. */
  clone_from: z.boolean(),
  state: z.enum(["initial", "registered", "attached"]),
});
export type Member = z.infer<typeof Member>;

const EpochRow = z.object({
  epoch: int8,
  state: z.enum(["opened", "appointed", "promoted", "serving", "superseded"]),
  cause: z.string(),
  reason: z.string(),
  old_primary: z.int().nullable(),
  node_id: z.int().nullable(),
  timeline: z.int().nullable(),
  from_lsn: lsn.nullable(),
  from_epoch: int8.nullable(),
  old_fenced: z.boolean(),
  switch_lsn: lsn.nullable(),
  stamp_lsn: lsn.nullable(),
  request_id: int8.nullable(),
  handover_to: z.int().nullable(),
  handover_request: int8.nullable(),
  write_gap_ms: z.int().nullable().default(null),
});
export type EpochRow = z.infer<typeof EpochRow>;

const RequestRow = z.object({
  request_id: int8,
  key: z.string(),
  kind: z.enum(["failover", "switchover", "recover"]),
  state: z.enum(["waiting", "running", "done", "failed", "unknown"]),
  /**
   * `target` is a node id or null; `not_before` an ISO time; `delay_ms` leaves the asking session time to hear its
   * answer; `epoch`, of a switchover for now, is the newest one when it was asked for.
   */
  args: z.object({
    target: z.int().nullable(),
    allow_data_loss: z.boolean().default(false),
    not_before: z.string().nullable().default(null),
    delay_ms: z.int().default(0),
    epoch: int8.nullish(),
  }),
  epoch: int8.nullable(),
});
export type RequestRow = z.infer<typeof RequestRow>;

export const ClusterView = z.object({
  node_id: z.int(),
  cluster_id: z.string(),
  system_identifier: z.string().nullable(),
  formed: z.boolean(),
  paused_why: z.string().nullable(),
  mode: z.enum(["quorum", "available", "async"]),
  rule: z.object({ version: int8, k: z.int(), cohort: z.array(z.int()) }),
  /** A change half made: both rules bind. */
  next_rule: z.object({ k: z.int(), cohort: z.array(z.int()) }).nullable(),
  /** What synchronous_standby_names must be now. */
  standby_names: z.string(),
  members: z.array(Member),
  /** Newest first, at most five; empty before the first. */
  epochs: z.array(EpochRow),
  highest_timeline: z.int(),
  /** Waiting and running, oldest first. */
  requests: z.array(RequestRow),
  /** What the cluster should forget next; null: nothing is worth a command. */
  forget: z.record(z.string(), z.string()).nullable(),
  /** What this node's gossip table says of each member. */
  observed: z.array(Observed),
});
export type ClusterView = z.infer<typeof ClusterView>;

const ViewRow = z.object({ view: ClusterView });

/** One statement, one snapshot of all the coordinator decides on. */
export async function clusterView(db: Queryable): Promise<ClusterView> {
  const { view } = await callOne(db, ViewRow, {
    name: "cluster.view",
    text: "select cluster.view() as view",
  });
  return view;
}
