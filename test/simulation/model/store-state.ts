/** What one control store holds: the twin of the tables in `migrations/control`. Numbers stand for 64-bit ones. */

export interface LogEntry {
  readonly index: number;
  readonly term: number;
  readonly kind: string;
  readonly client: string;
  readonly sequence: number;
  readonly body: Body;
  readonly hash: string;
}

export type Body = Readonly<Record<string, unknown>>;

export interface MemberRow {
  node_id: number;
  name: string;
  incarnation: string | null;
  data_host: string | null;
  data_port: number | null;
  control_host: string;
  control_port: number;
  voter: boolean;
  promotable: boolean;
  priority: number;
  state: "initial" | "registered" | "attached";
}

export interface EpochRow {
  epoch: number;
  state: "opened" | "appointed" | "promoted" | "serving" | "superseded";
  cause: string;
  reason: string;
  term: number;
  old_primary: number | null;
  node_id: number | null;
  timeline: number | null;
  from_lsn: string | null;
  from_epoch: number | null;
  switch_lsn: string | null;
  stamp_lsn: string | null;
  request_id: number | null;
  handover_to: number | null;
  handover_request: number | null;
  write_gap_ms: number | null;
}

export interface RequestRow {
  request_id: number;
  key: string;
  kind: string;
  state: string;
  args: unknown;
  from_node: number | null;
  to_node: number | null;
  epoch: number | null;
  reason: string | null;
}

export interface ObservedRow {
  readonly node_id: number;
  readonly beat: number;
  readonly [column: string]: unknown;
}

/** Survives a crash: logged tables. */
export interface Durable {
  identity: { node_id: number; name: string; cluster_id: string; incarnation: string };
  hard: {
    current_term: number;
    voted_for: number | null;
    leader_id: number | null;
    commit_index: number;
    applied_index: number;
    last_index: number;
    last_term: number;
    alarm: string | null;
  };
  log: LogEntry[];
  cluster: {
    system_identifier: string | null;
    formed: boolean;
    paused_why: string | null;
    mode: "quorum" | "available" | "async";
    rule_version: number;
    rule_k: number;
    rule_cohort: number[];
    next_k: number | null;
    next_cohort: number[] | null;
  };
  members: MemberRow[];
  epochs: EpochRow[];
  requests: RequestRow[];
  events: { event_id: number; term: number; epoch: number; event: string; node_id: number | null; reason: string }[];
  proposals: Map<string, { log_index: number; outcome: string }>;
  pledge: number;
  followed: number;
  beats: number;
  acts: { key: string; event: string; reason: string; detail: unknown }[];
}

/** Unlogged tables: empty after a crash, and counters begin again. */
export interface Unlogged {
  bootId: string;
  heard: number;
  silence: { boot_id: string; heard: number } | undefined;
  transfer: number | undefined;
  inbox: { client: string; sequence: number; kind: string; body: Body }[];
  reports: Map<number, { history_epoch: number; lsn: string; evidence: string }>;
  handedOver: Map<number, { shutdown_lsn: string | null; problem: string | null }>;
  observed: Map<number, ObservedRow>;
  progress: Map<number, Body>;
}

export function emptyDurable(
  identity: Durable["identity"],
  members: readonly MemberRow[],
  mode: Durable["cluster"]["mode"],
): Durable {
  return {
    identity,
    hard: {
      current_term: 0,
      voted_for: null,
      leader_id: null,
      commit_index: 0,
      applied_index: 0,
      last_index: 0,
      last_term: 0,
      alarm: null,
    },
    log: [],
    cluster: {
      system_identifier: null,
      formed: false,
      paused_why: null,
      mode,
      rule_version: 0,
      rule_k: 0,
      rule_cohort: [],
      next_k: null,
      next_cohort: null,
    },
    members: structuredClone([...members]),
    epochs: [],
    requests: [],
    events: [],
    proposals: new Map(),
    pledge: 0,
    followed: 0,
    beats: 0,
    acts: [],
  };
}

export function emptyUnlogged(bootId: string): Unlogged {
  return {
    bootId,
    heard: 0,
    silence: undefined,
    transfer: undefined,
    inbox: [],
    reports: new Map(),
    handedOver: new Map(),
    observed: new Map(),
    progress: new Map(),
  };
}

export function newestEpoch({ epochs }: Durable): EpochRow | undefined {
  return epochs.at(-1);
}

export function standbyName(node: number, incarnation: string | null): string {
  return `pgr_${node}_${(incarnation ?? "").replaceAll("-", "").slice(0, 12)}`;
}

/** Twin of `cluster.standby_names`. */
export function standbyNames({ cluster, members }: Durable): string {
  const k = cluster.next_k ?? cluster.rule_k;
  const cohort = cluster.next_cohort ?? cluster.rule_cohort;
  if (k === 0) return "";
  const names = members
    .filter(({ node_id }) => cohort.includes(node_id))
    .map(({ node_id, incarnation }) => standbyName(node_id, incarnation));
  return `ANY ${k} (${names.join(", ")})`;
}
