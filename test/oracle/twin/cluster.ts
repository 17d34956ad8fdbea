/**
 * The replicated state in TypeScript: the tables of schema `cluster`, and what is read from them.
 *
 * Rows have the columns of the SQL tables, but for those that only people read (times, reasons). Never changed in
 * place. What each command does to them stands in cluster-commands.ts.
 */
import { type Epoch, type NodeId, standbyName } from "../../../src/core/ids.ts";
import type { ClusterView, EpochRow, Member } from "../../../src/db/cluster.ts";

export type { Member } from "../../../src/db/cluster.ts";

export interface Rule {
  readonly k: number;
  readonly cohort: readonly NodeId[];
}

export type EpochFacts = Omit<EpochRow, "reason">;

export interface RequestFacts {
  readonly request_id: bigint;
  readonly key: string;
  readonly kind: "failover" | "switchover" | "recover" | "add_node" | "remove_node";
  readonly state: "waiting" | "running" | "done" | "failed" | "unknown";
  readonly args: Readonly<Record<string, unknown>>;
  readonly from_node: NodeId | null;
  readonly to_node: NodeId | null;
  readonly epoch: Epoch | null;
  readonly sqlstate: string | null;
  readonly write_gap_ms: number | null;
}

export interface EventFacts {
  readonly event: string;
  readonly node_id: NodeId | null;
  readonly epoch: Epoch;
  readonly from_state: string | null;
  readonly to_state: string | null;
}

/** One item of a user's entry. */
export interface EntryFacts {
  readonly index: bigint;
  readonly item: number;
  readonly data: string;
  /** Since the first that was ever put in, this one included. */
  readonly number: number;
  readonly total_bytes: number;
  readonly request_id: string | null;
  readonly node_id: NodeId;
}

/** A version of a key; the newest has not been replaced. */
export interface KvRow {
  readonly key: string;
  readonly version: bigint;
  readonly value: string | null;
  readonly created_version: bigint;
  readonly replaced_by: bigint | null;
}

export interface KvTotal {
  readonly puts: number;
  readonly deletes: number;
  readonly compacted_version: bigint;
}

export interface Cluster {
  /** What an operator has set. */
  readonly settings: ReadonlyMap<string, string>;
  readonly entriesThrough: bigint;
  readonly proposalsThrough: bigint;
  readonly systemIdentifier: string | null;
  readonly formed: boolean;
  readonly pausedWhy: string | null;
  readonly mode: ClusterView["mode"];
  readonly ruleVersion: bigint;
  readonly rule: Rule;
  readonly nextRule: Rule | null;
  readonly members: readonly Member[];
  /** Lives that ended when a control store was lost, as `node/incarnation`. */
  readonly former: ReadonlySet<string>;
  /** Who was a member, and under which incarnation. */
  readonly left: ReadonlyMap<NodeId, string | null>;
  /** Oldest first. */
  readonly epochs: readonly EpochFacts[];
  readonly requests: readonly RequestFacts[];
  /** Event i has id eventsThrough + i + 1. */
  readonly events: readonly EventFacts[];
  readonly eventsThrough: number;
  readonly entries: readonly EntryFacts[];
  /** In the order of their making. */
  readonly kv: readonly KvRow[];
  readonly kvTotal: KvTotal;
  /** By `client/sequence`. */
  readonly proposals: ReadonlyMap<string, { readonly index: bigint; readonly outcome: string }>;
}

export function initialCluster(
  members: readonly Member[],
  mode: Cluster["mode"] = "quorum",
): Cluster {
  return {
    settings: new Map(),
    entriesThrough: 0n,
    proposalsThrough: 0n,
    systemIdentifier: null,
    formed: false,
    pausedWhy: null,
    mode,
    ruleVersion: 0n,
    rule: { k: 0, cohort: [] },
    nextRule: null,
    members,
    former: new Set(),
    left: new Map(),
    epochs: [],
    requests: [],
    events: [],
    eventsThrough: 0,
    entries: [],
    kv: [],
    kvTotal: { puts: 0, deletes: 0, compacted_version: 0n },
    proposals: new Map(),
  };
}

/** What applying a command does: the state after it, or a refusal; and what it asks of this node's own promises. */
export interface Effect {
  readonly cluster: Cluster;
  readonly outcome: string;
  /** Pledge for this epoch, if it is above the pledge there is. */
  readonly pledge?: Epoch;
  /** The hand-over of this epoch was given up. */
  readonly keptPrimary?: Epoch;
}

/** cluster.standby_names: what synchronous_standby_names must be; '' while k = 0. */
export function standbyNames({ rule, nextRule, members }: Cluster): string {
  const { k, cohort } = nextRule ?? rule;
  if (k === 0) return "";
  const names = members
    .filter(({ node_id }) => cohort.includes(node_id))
    .flatMap(({ node_id, incarnation }) =>
      incarnation === null ? [] : [standbyName(node_id, incarnation)],
    );
  return `ANY ${k} (${names.join(", ")})`;
}

type Awaited = ClusterView["requests"][number];

/** A change of the members is a record alone: its steps are chores. */
function isAwaited(request: RequestFacts): request is RequestFacts & Awaited {
  const { kind, state } = request;
  const goesOn = state === "waiting" || state === "running";
  return goesOn && kind !== "add_node" && kind !== "remove_node";
}

/** cluster.view, as the leader reads it, with nothing observed. */
export function viewOf(
  cluster: Cluster,
  self: { readonly nodeId: NodeId; readonly clusterId: string },
): ClusterView {
  const { rule, nextRule, epochs, requests } = cluster;
  return {
    node_id: self.nodeId,
    cluster_id: self.clusterId,
    system_identifier: cluster.systemIdentifier,
    formed: cluster.formed,
    paused_why: cluster.pausedWhy,
    mode: cluster.mode,
    rule: { version: cluster.ruleVersion, k: rule.k, cohort: [...rule.cohort] },
    next_rule: nextRule && { k: nextRule.k, cohort: [...nextRule.cohort] },
    standby_names: standbyNames(cluster),
    members: [...cluster.members],
    epochs: epochs
      .slice(-5)
      .toReversed()
      .map((epoch) => ({ ...epoch, reason: "" })),
    highest_timeline: epochs.reduce((max, { timeline }) => Math.max(max, timeline ?? 0), 0) || 1,
    requests: requests.filter(isAwaited),
    forget: null,
    observed: [],
  };
}
