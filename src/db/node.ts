/** The schema `node`: what this node alone promises and has seen. One function per SQL function. */
import { z } from "zod";
import { type Epoch, formatLsn, type Lsn } from "../core/ids.ts";
import { callMany, callOne, type Queryable, run } from "./call.ts";
import { Place } from "./peer.ts";
import { int8, lsn } from "./rows.ts";

const Member = z.object({
  node_id: z.int(),
  name: z.string(),
  incarnation: z.string().nullable(),
  data_host: z.string().nullable(),
  data_port: z.int().nullable(),
  /** While it is a standby, others copy their data from it rather than from the primary. */
  clone_from: z.boolean(),
});

/** What the committed state asks of this node, and all the agent needs to do it. */
export const AgentView = z.object({
  node_id: z.int(),
  cluster_id: z.string(),
  incarnation: z.string(),
  term: int8,
  leader_id: z.int().nullable(),
  /** Null until `found` was applied. */
  system_identifier: z.string().nullable(),
  formed: z.boolean(),
  paused: z.boolean(),
  pledge: int8,
  followed: int8,
  /** The newest epoch; 0 before the first. */
  epoch: int8,
  epoch_state: z.enum(["none", "opened", "appointed", "promoted", "serving"]),
  /** Its appointed primary; null while `opened` or before the first. */
  primary_id: z.int().nullable(),
  /** The primary of the epoch before, while `opened`. */
  old_primary: z.int().nullable(),
  /** From `cluster.goal`: founder = no epoch yet, and this node leads and has a data server. */
  goal: z.enum(["none", "primary", "standby", "pledged", "hand_over", "removed"]),
  goal_why: z.string(),
  timeline: z.int().nullable(),
  from_lsn: lsn.nullable(),
  switch_lsn: lsn.nullable(),
  stamp_lsn: lsn.nullable(),
  handover_to: z.int().nullable(),
  /** When the newest epoch was appointed no earlier primary could be serving any more, proved. */
  old_fenced: z.boolean(),
  /** Timeline numbers given out so far: those above the candidate's own and below the plan are seeded (H35). */
  highest_timeline: z.int(),
  mode: z.enum(["quorum", "available", "async"]),
  /** Names the commit rule as it must be in force now; a change half made has a number of its own. */
  rule_version: int8,
  rule_k: z.int(),
  rule_cohort: z.array(z.int()),
  /** What synchronous_standby_names must be on every member: '' while k = 0. */
  standby_names: z.string(),
  /** Every member, this one included. */
  members: z.array(Member),
  /** Appointments that were promoted, oldest first: the chain of histories. */
  history: z.array(
    z.object({
      epoch: int8,
      node_id: z.int(),
      timeline: z.int(),
      switch_lsn: lsn,
      from_epoch: int8,
    }),
  ),
  /** This node's report for the newest epoch stands already. */
  reported: z.boolean(),
  handed_over: z.boolean(),
});
export type AgentView = z.infer<typeof AgentView>;

const ViewRow = z.object({ view: AgentView });

/** One statement, one snapshot: epoch, goal and pledge agree with each other. */
export async function agentView(db: Queryable): Promise<AgentView> {
  const { view } = await callOne(db, ViewRow, {
    name: "node.agent_view",
    text: "select node.agent_view() as view",
  });
  return view;
}

/** Store this node's own observation (a row of node.observed without node_id, beat and observed_at). */
export function observe(db: Queryable, row: Readonly<Record<string, unknown>>): Promise<void> {
  return run(db, {
    name: "node.observe",
    text: "select node.observe(p_row => $1::jsonb)",
    values: [JSON.stringify(row)],
  });
}

/** Nothing can add to this node's WAL any more: say how far it reaches. The SQL finds history_epoch. */
export function makeReport(
  db: Queryable,
  epoch: Epoch,
  flushed: Lsn,
  evidence: string,
): Promise<void> {
  return run(db, {
    text: "select node.make_report(p_epoch => $1, p_lsn => $2::pg_lsn, p_evidence => $3)",
    values: [epoch, formatLsn(flushed), evidence],
  });
}

/** Nothing is left to report, and nothing was confirmed from epoch `nothingFrom` on. */
export function makeVoidReport(
  db: Queryable,
  epoch: Epoch,
  nothingFrom: Epoch,
  evidence: string,
): Promise<void> {
  return run(db, {
    text: `select node.make_void_report(
             p_epoch => $1, p_nothing_from => $2, p_evidence => $3)`,
    values: [epoch, nothingFrom, evidence],
  });
}

/** Record, before acting on it, that the data server now follows or leads `epoch`. Refused below the pledge. */
export function follow(db: Queryable, epoch: Epoch): Promise<void> {
  return run(db, { text: "select node.follow(p_epoch => $1)", values: [epoch] });
}

/** The data server's own stamps say what it followed: after the loss of the store that knew it. */
export function recall(db: Queryable, epoch: Epoch): Promise<void> {
  return run(db, { text: "select node.recall(p_epoch => $1)", values: [epoch] });
}

/** The planned hand-over of `epoch` ended: where the WAL ends, or the problem that kept the primary. */
export function handOverDone(
  db: Queryable,
  epoch: Epoch,
  outcome: { readonly shutdownLsn: Lsn } | { readonly problem: string },
): Promise<void> {
  return run(db, {
    text: `select node.hand_over_done(
             p_epoch => $1, p_shutdown_lsn => $2::pg_lsn, p_problem => $3)`,
    values: [
      epoch,
      "shutdownLsn" in outcome ? formatLsn(outcome.shutdownLsn) : null,
      "problem" in outcome ? outcome.problem : null,
    ],
  });
}

const DataLife = z.object({ known: z.array(z.string()) });

/** The numbers that this node's data directory may hold (H56). */
export async function dataLife(db: Queryable): Promise<readonly string[]> {
  const { known } = await callOne(db, DataLife, { text: "select node.data_life() as known" });
  return known;
}

/** They are these from now on. */
export function setDataLife(db: Queryable, numbers: readonly string[]): Promise<void> {
  return run(db, { text: "select node.set_data_life(p_known => $1)", values: [numbers] });
}

/** An act of this node, to become an event of the cluster once there is a leader. */
export function noteAct(
  db: Queryable,
  act: { readonly event: string; readonly reason: string; readonly detail?: unknown },
): Promise<void> {
  return run(db, {
    text: "select node.note_act(p_event => $1, p_reason => $2, p_detail => $3::jsonb)",
    values: [act.event, act.reason, JSON.stringify(act.detail ?? {})],
  });
}

const LastEvent = z.object({ event: z.string().nullable() });

/** Which of these the cluster's events tell last; null: none of them. */
export async function lastEvent(db: Queryable, events: readonly string[]): Promise<string | null> {
  const text = "select node.last_event(p_events => $1) as event";
  return (await callOne(db, LastEvent, { text, values: [events] })).event;
}

export interface Progress {
  readonly job: string;
  readonly phase: string;
  readonly doneBytes: bigint;
  readonly totalBytes: bigint | undefined;
}

export function setProgress(db: Queryable, progress: Progress): Promise<void> {
  return run(db, {
    text: "select node.set_progress(p_job => $1, p_phase => $2, p_done => $3, p_total => $4)",
    values: [progress.job, progress.phase, progress.doneBytes, progress.totalBytes ?? null],
  });
}

export function clearProgress(db: Queryable): Promise<void> {
  return run(db, { text: "select node.clear_progress()" });
}

const OwnRow = z.object({ own: z.string().nullable() });

/** This node's own observation as JSON text, as its peers get it; undefined before the first. */
export async function ownRow(db: Queryable): Promise<string | undefined> {
  const row = await callOne(db, OwnRow, {
    name: "node.own_row",
    text: "select node.own_row()::text as own",
  });
  return row.own ?? undefined;
}

const Act = z.object({ key: z.string(), body: z.unknown() });

/** Acts of this node that are not events of the cluster yet. */
export function pendingActs(db: Queryable): Promise<{ key: string; body: unknown }[]> {
  return callMany(db, Act, {
    name: "node.pending_acts",
    text: "select key, body from node.pending_acts()",
  });
}

const MoveDue = z.object({
  body: z.record(z.string(), z.unknown()),
  obstacle: z.string().nullable(),
});
export type MoveDue = z.infer<typeof MoveDue>;

/** What the log is to be told of where this node is reached; undefined when it knows. */
export async function moveDue(db: Queryable): Promise<MoveDue | undefined> {
  const [due] = await callMany(db, MoveDue, {
    name: "node.move_due",
    text: "select body, obstacle from node.move_due()",
  });
  return due;
}

/** Where members say that they are reached, as long as the log says another place. */
export function heardPlaces(db: Queryable): Promise<Place[]> {
  return callMany(db, Place, {
    name: "node.heard_places",
    text: "select node_id, host, port from node.heard_places()",
  });
}

const Rows = z.object({ rows: z.string() });

/** What the own store has seen of every member, as JSON text for gossip. */
export async function observedRows(db: Queryable): Promise<string> {
  const row = await callOne(db, Rows, {
    name: "node.observed_rows",
    text: "select node.observed_rows()::text as rows",
  });
  return row.rows;
}

const News = z.object({ news: z.boolean() });

/** Store what members say of themselves, a JSON array of rows; true when it is new, positions and beats aside. */
export async function takeGossip(db: Queryable, rows: string): Promise<boolean> {
  const row = await callOne(db, News, {
    name: "node.gossip",
    text: "select node.gossip(p_rows => $1::jsonb) as news",
    values: [rows],
  });
  return row.news;
}

export interface OwnTiming {
  readonly heartbeatMs: number;
  readonly electionMs: number;
  readonly leaseMs: number;
}

const timingJson = ({ heartbeatMs, electionMs, leaseMs }: OwnTiming) => ({
  heartbeat_ms: heartbeatMs,
  election_ms: electionMs,
  lease_ms: leaseMs,
});

export interface SignOfLife {
  /** Of this run of the worker. */
  readonly instance: string;
  readonly heartbeatMs: number;
  readonly electionMs: number;
  /** Of node.yaml: what counts where no setting pgraft.* says otherwise, and what they are measured by. */
  readonly own: OwnTiming;
  readonly messages: number;
  readonly heartbeats: number;
  readonly elections: number;
  readonly quietMs: number;
  readonly roundMs: number | undefined;
  readonly peers: readonly {
    readonly id: number;
    readonly match: bigint;
    readonly next: bigint;
    readonly state: string;
    readonly ageMs: number | undefined;
  }[];
}

/** The worker lives, and tells what only it knows; true while it is to log at debug. */
export async function workerLives(db: Queryable, life: SignOfLife): Promise<boolean> {
  const { instance, heartbeatMs, electionMs, own, quietMs, roundMs, peers, ...counts } = life;
  const told = {
    ...counts,
    timing: timingJson(own),
    quiet_ms: whole(quietMs),
    round_ms: whole(roundMs),
    peers: peers.map(({ id, match, next, state, ageMs }) => ({
      node_id: id,
      match: match.toString(),
      next: next.toString(),
      state,
      age_ms: whole(ageMs),
    })),
  };
  const row = await callOne(db, z.object({ debug: z.boolean() }), {
    name: "node.worker_lives",
    text: `
      select node.worker_lives(
        p_instance => $1, p_heartbeat_ms => $2, p_election_ms => $3, p_told => $4::jsonb) as debug`,
    values: [instance, heartbeatMs, electionMs, JSON.stringify(told)],
  });
  return row.debug;
}

const whole = (ms: number | undefined) =>
  ms !== undefined && Number.isFinite(ms) ? Math.round(ms) : null;

const PgraftSettings = z.object({
  election_timeout: z.int().optional(),
  heartbeat_interval: z.int().optional(),
  max_log_entries: z.int().optional(),
  snapshot_count: z.int().optional(),
  request_timeout: z.int().optional(),
  log_level: z.enum(["debug", "info", "warn", "error"]).optional(),
});
export type PgraftSettings = z.infer<typeof PgraftSettings>;

/** Settings pgraft.* of the control server's files; an error that names the one that is wrong. */
export async function pgraftSettings(db: Queryable, own: OwnTiming): Promise<PgraftSettings> {
  const { settings } = await callOne(db, z.object({ settings: PgraftSettings }), {
    text: "select node.pgraft_settings(p_timing => $1) as settings",
    values: [JSON.stringify(timingJson(own))],
  });
  return settings;
}

const Upkeep = z.object({
  /** When the control server last took its configuration files, as the session that is asked knows; in ms. */
  config_loaded_at: z.number(),
  /** Whether this node's data server is the primary and open. */
  data_is_open: z.boolean(),
  /** Whether the control store has an apply handler that could be called. */
  handled: z.boolean(),
  /** How often a page was read that is not what was written, since the store was made. */
  damaged_pages: z.number(),
  /** Who is a member, and who was one, as far as this store has applied. */
  present: z.array(z.int()),
  former: z.array(z.int()),
});
export type Upkeep = z.infer<typeof Upkeep>;

/** What parts of the worker look after once a second. */
export function upkeep(db: Queryable): Promise<Upkeep> {
  return callOne(db, Upkeep, {
    name: "node.upkeep",
    text: `select (extract(epoch from pg_catalog.pg_conf_load_time()) * 1000)::float8 as config_loaded_at,
                  node.data_is_open() as data_is_open,
                  exists (select from pgreplica.handler_state()) as handled,
                  (select coalesce(sum(d.checksum_failures), 0) from pg_catalog.pg_stat_database as d)::float8
                    as damaged_pages,
                  array(select m.node_id from cluster.member as m order by 1) as present,
                  array(select f.node_id from cluster.former_member as f order by 1) as former`,
  });
}

const Announcement = z.object({ event_id: int8, channel: z.string(), payload: z.string() });
export type Announcement = z.infer<typeof Announcement>;

/** News the data server should repeat: none unless it is the primary with an open gate. */
export function announcements(db: Queryable, after: bigint): Promise<Announcement[]> {
  return callMany(db, Announcement, {
    name: "node.announcements",
    text: "select event_id, channel, payload from node.announcements(p_after => $1)",
    values: [after],
  });
}
