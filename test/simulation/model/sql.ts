/** What a data server answers to each statement the product and the workload send it. */
import { DatabaseError } from "../adapters/pg.ts";
import type { DataServer } from "./data-server.ts";
import type { Answer, Query, Row, Session } from "./network.ts";
import { formatLsn, parseLsn, type StampRow } from "./wal.ts";

type Say = (answer: Answer) => void;
type Handler = (server: DataServer, session: Session, values: readonly unknown[], say: Say) => void;

const rows =
  (make: (server: DataServer, values: readonly unknown[]) => readonly Row[]): Handler =>
  (server, _session, values, say) =>
    say(make(server, values));

const NOTHING = rows(() => []);

function recoveryOnly(server: DataServer, say: Say): boolean {
  if (server.inRecovery)
    say(new DatabaseError("25006", "cannot execute in a read-only transaction"));
  return server.inRecovery;
}

function attached(server: DataServer) {
  return server.senders.list.map((sender) => ({
    application_name: sender.name,
    state: "streaming",
    flush_lsn: sender.flushed === 0 ? null : formatLsn(sender.flushed),
    pid: sender.pid,
    usename: `pgreplica_node_${sender.receiver.server.node}`,
    slot: sender.slot,
  }));
}

function setting(server: DataServer, name: string): string {
  return server.conf.get(name) ?? "";
}

function look(server: DataServer): Row {
  const { inRecovery, receiver, data } = server;
  const upstream = receiver.upstream();
  const replayed = data.wal[server.replayed - 1]?.end ?? 0;
  const received = receiver.received;
  const ahead = received !== null && received > replayed;
  return {
    in_recovery: inRecovery,
    wal_lsn: inRecovery ? null : formatLsn(data.end()),
    receive_lsn: received === null ? null : formatLsn(received),
    replay_lsn: inRecovery ? formatLsn(replayed) : null,
    timeline: inRecovery ? (upstream?.timeline() ?? null) : server.timeline(),
    receiver: upstream === undefined ? null : "streaming",
    receiver_pid: upstream === undefined ? null : 4_000_000 + server.segment,
    receiver_host: null,
    receiver_port: null,
    latest_end_lsn: upstream === undefined ? null : formatLsn(data.end()),
    lag_ms: inRecovery ? (ahead ? "20" : "0") : null,
    standby_names: setting(server, "synchronous_standby_names"),
    serial: setting(server, "pgreplica.settings_serial"),
    listen: setting(server, "listen_addresses"),
    attached: attached(server),
  };
}

function recovery(server: DataServer): Row {
  const { receiver, data } = server;
  const replayed = data.wal[server.replayed - 1]?.end ?? 0;
  const parked = receiver.parked();
  return {
    in_recovery: server.inRecovery,
    receivers: receiver.alive() ? 1 : 0,
    startup_pid: server.inRecovery ? 3_000_000 + server.segment : null,
    wait_event: parked
      ? receiver.alive()
        ? "RecoveryWalStream"
        : "RecoveryRetrieveRetryInterval"
      : null,
    receive_lsn: receiver.received === null ? null : formatLsn(receiver.received),
    replay_lsn: formatLsn(replayed),
    paused: server.inRecovery ? "not paused" : null,
    conninfo: setting(server, "primary_conninfo"),
    apply_delay: "0",
  };
}

function stamp(server: DataServer, session: Session, values: readonly unknown[], say: Say): void {
  if (recoveryOnly(server, say)) return;
  const [cluster, epoch, node, timeline, at] = values;
  const row: StampRow = {
    cluster_id: String(cluster),
    epoch: Number(epoch),
    node_id: Number(node),
    timeline: Number(timeline),
    switch_lsn: String(at),
    stamp_id: server.world.engine.random("uuid").uuid(),
  };
  server.world.checks.stamped(server, row);
  server.commits.commit(session, { kind: "stamp", stamp: row }, false, say);
}

function insert(server: DataServer, session: Session, values: readonly unknown[], say: Say): void {
  if (recoveryOnly(server, say)) return;
  const key = String(values[0]);
  server.world.checks.attempted(server, key);
  server.commits.commit(session, { kind: "commit", key }, true, say);
}

/** Rows a client may see: replayed or committed here, and not still waiting. */
function readAll(server: DataServer): readonly Row[] {
  if (server.inRecovery) return [];
  const waiting = new Set(server.commits.waiters.map(({ record }) => record.id));
  server.world.checks.read(
    server,
    server.data.wal.slice(0, server.replayed).filter(({ id }) => !waiting.has(id)),
  );
  return [];
}

function endSessions(server: DataServer, values: readonly unknown[]): readonly Row[] {
  const own = new Set(values[0] as number[]);
  const others = [...server.sessions].filter((one) => !own.has(1_000_000 + one.id));
  for (const one of others) server.endSession(one);
  return [{ ended: others.length }];
}

function endBackends(server: DataServer, values: readonly unknown[]): readonly Row[] {
  const pids = new Set(values[0] as number[]);
  for (const sender of [...server.senders.list]) {
    if (pids.has(sender.pid)) server.senders.drop(sender);
  }
  return [];
}

function busy(server: DataServer, values: readonly unknown[]): readonly Row[] {
  const own = new Set(values[0] as number[]);
  const waiting = server.commits.waiters.filter(
    ({ session }) => session !== undefined && !own.has(1_000_000 + session.id),
  ).length;
  return [{ running: waiting, waiting }];
}

function slots(server: DataServer): readonly Row[] {
  return [...server.data.slots].map(([name, slot]) => ({
    name,
    active: slot.active,
    restart_lsn: formatLsn(slot.restart),
    lost: slot.lost,
  }));
}

function createSlot(server: DataServer, [name]: readonly unknown[]): readonly Row[] {
  const restart = server.data.end();
  server.data.slots.set(String(name), { restart, active: false, lost: false });
  return [];
}

function advanceSlot(server: DataServer, [name, to]: readonly unknown[]): readonly Row[] {
  const slot = server.data.slots.get(String(name));
  if (slot !== undefined) slot.restart = Math.max(slot.restart, parseLsn(String(to)));
  return [];
}

function stampRows(server: DataServer): readonly Row[] {
  return server.data.stamps(server.replayed).map((row) => ({ ...row, epoch: String(row.epoch) }));
}

/** How far a standby is: everything it holds, what it replayed, the timeline it streams. */
function standbyPosition(server: DataServer): Row {
  const { data, receiver } = server;
  const replayed = data.wal[server.replayed - 1]?.end ?? 0;
  const upstream = receiver.upstream();
  return {
    in_recovery: server.inRecovery,
    end: formatLsn(Math.max(receiver.received ?? 0, replayed)),
    replayed: formatLsn(replayed),
    timeline: upstream === undefined ? null : upstream.timeline(),
  };
}

/** First match wins. */
const HANDLERS: readonly (readonly [RegExp, Handler])[] = [
  [/^insert key/, insert],
  [/^read keys/, (server, _session, _values, say) => say(readAll(server))],
  [/count\(pg_terminate_backend/, rows(endSessions)],
  [/greatest\(pg_last_wal_receive_lsn/, rows((server) => [standbyPosition(server)])],
  [/from pg_control_checkpoint/, rows((server) => [{ timeline: server.data.timeline }])],
  [/has_(function|table)_privilege/, rows(() => [{ granted: true }])],
  [/^\s*grant /, NOTHING],
  [/filter \(where state in/, rows(busy)],
  [/walreceiver/, rows((server) => [recovery(server)])],
  [/as standby_names,[\s\S]*as conninfo/, rows((server) => [shown(server)])],
  [
    /pg_is_in_recovery\(\) as in_recovery,\s+case when not pg_is_in_recovery\(\)\s+then \('x'/,
    rows((server) => [position(server)]),
  ],
  [/as in_recovery,[\s\S]*attached/, rows((server) => [look(server)])],
  [/from pg_stat_replication/, rows(attached)],
  [
    /select pg_promote/,
    (server, _session, _values, say) => {
      server.promote();
      say([]);
    },
  ],
  [/insert into pgreplica\.stamp/, stamp],
  [/pg_current_wal_flush_lsn\(\)::text as at/, flushedLsn],
  [
    /pg_logical_emit_message/,
    (server, session, _values, say) => {
      if (!recoveryOnly(server, say)) server.commits.commit(session, { kind: "mark" }, false, say);
    },
  ],
  [
    /backend_type = 'checkpointer'/,
    rows((server) => [
      {
        pid: 4_000_000 + server.segment,
        wait_event: server.checkpointing ? null : "CheckpointerMain",
      },
    ]),
  ],
  [/unnest\(\$1::int\[\]\) pid/, rows(endBackends)],
  [/^checkpoint$/, (server, _session, _values, say) => server.commits.checkpoint(() => say([]))],
  [/to_regclass/, rows((server) => [{ there: server.data.newestStamp() !== undefined }])],
  [/from pgreplica\.stamp/, rows(stampRows)],
  [/from pg_replication_slots/, rows(slots)],
  [/pg_create_physical_replication_slot/, rows(createSlot)],
  [
    /pg_drop_replication_slot/,
    rows((server, [name]) => {
      server.data.slots.delete(String(name));
      return [];
    }),
  ],
  [/pg_replication_slot_advance/, rows(advanceSlot)],
  [/pg_ls_waldir/, rows((server) => [{ name: segmentName(server.data.oldest) }])],
  [
    /select pid from pg_stat_activity/,
    rows((server) => [...server.sessions].map(({ id }) => ({ pid: 1_000_000 + id }))),
  ],
  [/pg_wal_replay_resume|pg_cancel_backend/, NOTHING],
  [/rolname <> all/, NOTHING],
  [/from pg_roles where rolname = \$1/, rows(() => [{ there: true }])],
  [/from pg_catalog\.pg_authid where rolname = \$1/, rows(() => [{ verifier: null }])],
  [/not exists \(select from pg_roles/, NOTHING],
  [/pg_notify/, NOTHING],
  [/^(begin|commit|rollback|grant|create role|alter role|set |reset )/, NOTHING],
  [/^\s*select set_config/, NOTHING],
  [/^select 1$/, rows(() => [{ one: 1 }])],
];

function flushedLsn(
  server: DataServer,
  _session: Session,
  _values: readonly unknown[],
  say: Say,
): void {
  if (!recoveryOnly(server, say)) say([{ at: formatLsn(server.data.end()) }]);
}

function shown(server: DataServer): Row {
  return {
    serial: setting(server, "pgreplica.settings_serial"),
    standby_names: setting(server, "synchronous_standby_names"),
    conninfo: setting(server, "primary_conninfo"),
  };
}

function position(server: DataServer): Row {
  const { inRecovery } = server;
  return { in_recovery: inRecovery, timeline: inRecovery ? null : server.timeline() };
}

function segmentName(lsn: number): string {
  const high = Math.floor(lsn / 4294967296);
  const low = Math.floor((lsn % 4294967296) / (4 * 1024 * 1024));
  const hex = (value: number) => value.toString(16).toUpperCase().padStart(8, "0");
  return hex(high) + hex(low);
}

const known = new Map<string, Handler>();

export function answerSql(server: DataServer, session: Session, query: Query, say: Say): void {
  let handler = known.get(query.text);
  if (handler === undefined) {
    handler = HANDLERS.find(([pattern]) => pattern.test(query.text))?.[1];
    if (handler === undefined) throw new Error(`the model knows no answer to: ${query.text}`);
    known.set(query.text, handler);
  }
  handler(server, session, query.values, say);
}
