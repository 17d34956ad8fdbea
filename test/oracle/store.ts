/** One node's control store in real SQL: its calls, its crashes, and everything it holds as one plain value. */
import { z } from "zod";
import { callOne, run } from "../../src/db/call.ts";
import { type InitialMember, setUpStore } from "../../src/db/control-setup.ts";
import * as node from "../../src/db/node.ts";
import * as peer from "../../src/db/peer.ts";
import * as raft from "../../src/db/raft.ts";
import type { Database } from "./database.ts";
import { limited } from "./limited.ts";

export const CLUSTER = "00000000-0000-4000-8000-00000000c105";
export const incarnationOf = (id: number) => `00000000-0000-4000-8000-0000000000${id}0`;
export const senderOf = (nodeId: number): peer.Sender => ({
  clusterId: CLUSTER,
  nodeId,
  incarnation: incarnationOf(nodeId),
});

/** Three data members and a witness that never speaks: a member without a data server. */
export const MEMBERS: readonly InitialMember[] = [1, 2, 3, 4].map((id) => ({
  id,
  name: `node${id}`,
  host: `host${id}`,
  port: 5433,
  ...(id === 4 ? {} : { dataPort: 5432 }),
}));

/** What a store holds, and what a twin of it must hold. 64-bit numbers are text. */
export const Snapshot = z.object({
  term: z.string(),
  voted_for: z.int().nullable(),
  leader_id: z.int().nullable(),
  commit_index: z.string(),
  applied_index: z.string(),
  alarm: z.string().nullable(),
  /** Null when the row is gone, which is a broken promise. */
  pledge: z.string().nullable(),
  followed: z.string().nullable(),
  boot_id: z.string(),
  heard: z.string(),
  silent: z.boolean(),
  transfer_term: z.string().nullable(),
  last_index: z.string(),
  last_term: z.string(),
  /** Of the last entry: it covers all before it (H57). */
  log_hash: z.string().nullable(),
  snapshot_index: z.string(),
  snapshot_term: z.string(),
  snapshot_hash: z.string(),
  /** Entries in the log, and parts of a snapshot on its way in. */
  kept: z.int(),
  arrived: z.int(),
  reports: z.array(z.unknown()),
  handed_over: z.array(z.unknown()),
  inbox: z.array(z.unknown()),
});
export type Snapshot = z.infer<typeof Snapshot>;

/** How many of the newest events, entries and proposals are compared: more than one append can apply. */
export const NEWEST = 40;

/** The replicated state of a store: rows without the columns that only people read. */
export const ClusterRows = z.object({
  settings: z.array(z.unknown()),
  forgettable: z.unknown(),
  state: z.unknown(),
  members: z.array(z.unknown()),
  epochs: z.array(z.unknown()),
  requests: z.array(z.unknown()),
  /** Newest first, as the proposals. */
  events: z.array(z.unknown()),
  proposals: z.array(z.unknown()),
  entries: z.array(z.unknown()),
  /** By key and version. */
  kv: z.array(z.unknown()),
  kvTotal: z.unknown(),
});
export type ClusterRows = z.infer<typeof ClusterRows>;

const SNAPSHOT = `
  create or replace function oracle.snapshot() returns jsonb language plpgsql as $$ begin return (
  select jsonb_build_object(
    'term', s.current_term::text, 'voted_for', s.voted_for, 'leader_id', s.leader_id,
    'commit_index', s.commit_index::text, 'applied_index', s.applied_index::text, 'alarm', s.alarm,
    'pledge', (select epoch::text from node.pledge), 'followed', (select epoch::text from node.followed),
    'boot_id', r.boot_id, 'heard', r.heard::text, 'silent', r.silent, 'transfer_term', r.transfer_term::text,
    'last_index', s.last_index::text, 'last_term', s.last_term::text,
    'log_hash', encode(raft.hash_at(s.last_index), 'hex'),
    'snapshot_index', s.snapshot_index::text, 'snapshot_term', s.snapshot_term::text,
    'snapshot_hash', encode(s.snapshot_hash, 'hex'), 'kept', (select count(*) from raft.log),
    'arrived', (select count(*) from raft.arrived_part),
    'reports', coalesce((select jsonb_agg(jsonb_build_array(epoch::text, history_epoch::text, lsn) order by epoch)
                           from node.report), '[]'),
    'handed_over', coalesce((select jsonb_agg(jsonb_build_array(epoch::text, shutdown_lsn, problem) order by epoch)
                               from node.handed_over), '[]'),
    'inbox', coalesce((select jsonb_agg(i.client order by i.id) from raft.inbox as i), '[]'))
    from raft.hard_state as s, raft.sample() as r); end $$`;

/** Columns that tell people when and why: no decision reads them, and the twin does not keep them. */
const FOR_PEOPLE = `array['opened_at', 'appointed_at', 'serving_at', 'requested_at', 'finished_at', 'joined_at',
  'reason', 'hint', 'requested_by', 'term', 'lost_bytes', 'pg_version', 'at', 'detail']`;

const CLUSTER_ROWS = `
  create or replace function oracle.cluster_rows() returns jsonb language plpgsql as $$ begin return (
  select jsonb_build_object(
    'settings', coalesce((select jsonb_agg(jsonb_build_array(s.name, s.value) order by s.name)
                            from cluster.setting as s), '[]'),
    'forgettable', cluster.forgettable(),
    'state', (select to_jsonb(s) - 'singleton' from cluster.state as s),
    'members', (select jsonb_agg(to_jsonb(m) - ${FOR_PEOPLE} order by m.node_id) from cluster.member as m),
    'epochs', coalesce((select jsonb_agg(to_jsonb(e) - ${FOR_PEOPLE} order by e.epoch) from cluster.epoch as e), '[]'),
    'requests', coalesce((select jsonb_agg(to_jsonb(q) - ${FOR_PEOPLE} order by q.request_id)
                            from cluster.request as q), '[]'),
    'events', coalesce((
      select jsonb_agg(to_jsonb(v) - ${FOR_PEOPLE} order by v.event_id desc)
        from (select * from cluster.event order by event_id desc limit ${NEWEST}) as v), '[]'),
    'proposals', coalesce((
      select jsonb_agg(jsonb_build_array(p.client || '/' || p.sequence, p.log_index, p.outcome)
                       order by p.log_index desc)
        from (select * from cluster.proposal order by log_index desc limit ${NEWEST}) as p), '[]'),
    'entries', coalesce((
      select jsonb_agg(to_jsonb(n) - ${FOR_PEOPLE} order by n.index desc, n.item desc)
        from (select * from cluster.entry order by index desc, item desc limit ${NEWEST}) as n), '[]'),
    'kv', coalesce((select jsonb_agg(to_jsonb(k) - ${FOR_PEOPLE} order by k.key, k.version) from cluster.kv as k), '[]'),
    'kvTotal', (select to_jsonb(t) - 'singleton' from cluster.kv_total as t))); end $$`;

const Contents = z.object({
  snapshot: Snapshot,
  state_hash: z.string(),
  /** `index:term:client/sequence`, in order. */
  log: z.array(z.string()),
  /** Names of `event` commands that took effect, as often as they did. */
  effects: z.array(z.string()),
});
export type Contents = z.infer<typeof Contents>;

/** The tables' rows in full, times and reasons included, make the hash of the state (R5). */
const contentsOf = (tables: readonly string[]) => `
  create or replace function oracle.contents() returns jsonb language plpgsql as $$ begin return (
  select jsonb_build_object(
    'snapshot', oracle.snapshot(),
    'state_hash', md5(concat_ws('|', ${tables.map(rowsAsText).join(", ")})),
    'log', coalesce((
      select jsonb_agg(concat_ws(':', l.index, l.term, l.client || '/' || l.sequence) order by l.index)
        from raft.log as l), '[]'),
    'effects', coalesce((
      select jsonb_agg(e.detail ->> 'once') from cluster.event as e where e.detail ? 'once'), '[]'))); end $$`;

const rowsAsText = (table: string) =>
  `(select string_agg(to_jsonb(t)::text, ' ' order by to_jsonb(t)::text) from ${table} as t)`;

/** All durable tables' rows, each as jsonb. */
export type Dump = readonly { readonly table: string; readonly rows: string }[];

export class Store {
  readonly id: number;
  readonly #database: Database;
  #durable: readonly string[] = [];
  #pristine: Dump = [];
  #boots = 0;

  private constructor(id: number, database: Database) {
    this.id = id;
    this.#database = database;
  }

  /** A store whose init has just ended: it knows who it is and who the members are, nothing else. */
  static async create(id: number, database: Database): Promise<Store> {
    const store = new Store(id, database);
    await limited(`the creation of store ${id}`, store.#create());
    return store;
  }

  async #create(): Promise<void> {
    const identity = {
      reborn: false,
      node_id: this.id,
      name: `node${this.id}`,
      cluster_id: CLUSTER,
      cluster_name: "oracle",
      incarnation: incarnationOf(this.id),
    };
    await setUpStore(this.client, identity, { members: MEMBERS, mode: "quorum" });
    await this.sql(SNAPSHOT);
    await this.sql(CLUSTER_ROWS);
    this.#durable = await this.#tables("p");
    await this.sql(contentsOf(this.#durable.filter((table) => table.startsWith("cluster."))));
    this.#pristine = await this.dump();
  }

  get client(): Database["client"] {
    return this.#database.client;
  }

  /** As just created. */
  async reset(): Promise<void> {
    await this.restore(this.#pristine);
    this.#boots = 0;
    await this.crash();
  }

  /** Run a call and do not commit it: the store crashes first. */
  async undone(call: () => Promise<unknown>): Promise<void> {
    await this.sql("begin");
    try {
      await call();
    } finally {
      await this.sql("rollback");
    }
  }

  /** What a crash leaves: unlogged tables empty, unlogged sequences at their start, a new boot id. */
  async crash(): Promise<string> {
    const unlogged = await this.#tables("u");
    const bootId = await this.restart();
    const emptied = unlogged.map((table) => `delete from ${table}`).join("; ");
    const sequences = [
      "heard",
      "lease_asked",
      "lease_echo",
      "read_asked",
      "read_answered",
      "read_place",
      "read_seen",
      "gate",
    ];
    const reset = sequences.map((name) => `alter sequence raft.${name} restart`).join("; ");
    await this.sql(`${emptied}; ${reset}`);
    return bootId;
  }

  /** A clean stop and start. */
  async restart(): Promise<string> {
    this.#boots += 1;
    const bootId = `boot ${this.#boots}`;
    await this.sql(`update oracle.boot set boot_id = '${bootId}'`);
    return bootId;
  }

  async dump(): Promise<Dump> {
    const dump: { table: string; rows: string }[] = [];
    for (const table of this.#durable) {
      const { rows } = await callOne(this.client, z.object({ rows: z.string() }), {
        text: `select coalesce(jsonb_agg(to_jsonb(t)), '[]')::text as rows from ${table} as t`,
      });
      dump.push({ table, rows });
    }
    return dump;
  }

  /** Put a dump in the place of what is there; the caller lets the store crash. */
  async restore(dump: Dump): Promise<void> {
    await this.sql(`truncate ${dump.map(({ table }) => table).join(", ")}`);
    for (const { table, rows } of dump) {
      await run(this.client, {
        text: `insert into ${table} overriding system value
               select * from jsonb_populate_recordset(null::${table}, $1::jsonb)`,
        values: [rows],
      });
    }
  }

  async snapshot(): Promise<Snapshot> {
    return (
      await callOne(this.client, z.object({ one: Snapshot }), {
        text: "select oracle.snapshot() as one",
      })
    ).one;
  }

  async clusterRows(): Promise<ClusterRows> {
    return (
      await callOne(this.client, z.object({ one: ClusterRows }), {
        text: "select oracle.cluster_rows() as one",
      })
    ).one;
  }

  /** What stands in the log, and which events exist: the raw material of R3, R5 and R10. */
  async contents(): Promise<Contents> {
    return (
      await callOne(this.client, z.object({ one: Contents }), {
        text: "select oracle.contents() as one",
      })
    ).one;
  }

  async sql(text: string): Promise<void> {
    await this.client.query(text);
  }

  async #tables(persistence: "p" | "u"): Promise<string[]> {
    const { names } = await callOne(this.client, z.object({ names: z.array(z.string()) }), {
      text: `select array_agg(format('%s.%s', n.nspname, c.relname) order by n.nspname, c.relname) as names
               from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
              where n.nspname in ('raft', 'cluster', 'node') and c.relkind = 'r'
                and c.relpersistence = $1`,
      values: [persistence],
    });
    return names;
  }

  preVote = (from: peer.Sender, ask: peer.VoteRequest) => peer.preVote(this.client, from, ask);
  requestVote = (from: peer.Sender, ask: peer.VoteRequest & { readonly transfer: boolean }) =>
    peer.requestVote(this.client, from, ask);
  appendEntries = (from: peer.Sender, ask: peer.Append) =>
    peer.appendEntries(this.client, from, ask);
  heartbeat = (from: peer.Sender, term: bigint) => peer.heartbeat(this.client, from, term);
  askLease = (from: peer.Sender, ask: { readonly nonce: bigint; readonly hurry: boolean }) =>
    peer.askLease(this.client, from, ask);
  echoLease = (nonce: bigint) => raft.echoLease(this.client, nonce);
  askRead = ({ clusterId, nodeId, incarnation }: peer.Sender) =>
    this.#bigint("select peer.ask_read($1, $2, $3) as n", [clusterId, nodeId, incarnation]);
  readonly unlogged = {
    reads: {
      asked: () => this.#bigint("select raft.reads_asked() as n", []),
      confirm: (answer: raft.ReadAnswer) => raft.confirmReads(this.client, answer),
      index: (ticket: bigint) => this.#bigint("select raft.read_index($1) as n", [ticket]),
    },
  };
  async #bigint(text: string, values: readonly unknown[]): Promise<bigint | undefined> {
    const row = z.object({ n: z.string().nullable() });
    const { n } = await callOne(this.client, row, { text, values });
    return n === null ? undefined : BigInt(n);
  }
  takeLead = (from: peer.Sender, term: bigint) => peer.takeLead(this.client, from, term);
  report = (from: peer.Sender, epoch: bigint) => peer.report(this.client, from, epoch);
  submit = (from: peer.Sender, key: string, kind: string, body: Record<string, unknown>) =>
    peer.submit(this.client, from, { key, kind, body });
  turnGate = (max: number) => raft.turnGate(this.client, max);
  openGate = (gate: bigint, answer: raft.ReadAnswer | undefined) =>
    raft.openGate(this.client, gate, answer);
  sample = () => raft.sample(this.client);
  readLog = (from: bigint, entries: number) =>
    raft.readLog(this.client, from, { entries, bytes: 1_000_000_000 });
  compact = (entries: number) =>
    raft.compact(this.client, { entries, bytes: Number.MAX_SAFE_INTEGER });
  installSnapshot = (from: peer.Sender, ask: peer.SnapshotPart) =>
    peer.installSnapshot(this.client, from, ask);
  takeSnapshot = (partBytes: number) => raft.takeSnapshot(this.client, partBytes);
  snapshotPart = (id: string, part: number) => raft.snapshotPart(this.client, id, part);
  markSilent = (counter: { readonly bootId: string; readonly heard: bigint }) =>
    raft.markSilent(this.client, counter);
  makeReport = (epoch: bigint, lsn: bigint) => node.makeReport(this.client, epoch, lsn, "test");
  makeVoidReport = (epoch: bigint, nothingFrom: bigint) =>
    node.makeVoidReport(this.client, epoch, nothingFrom, "test");
  recall = (epoch: bigint) => node.recall(this.client, epoch);
  follow = (epoch: bigint) => node.follow(this.client, epoch);
  handOverDone = (epoch: bigint, shutdownLsn: bigint | null, problem: string | null) =>
    node.handOverDone(
      this.client,
      epoch,
      shutdownLsn === null ? { problem: problem ?? "" } : { shutdownLsn },
    );
}
