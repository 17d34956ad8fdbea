/** The monitoring views of a data server: their names, columns and types, whom they answer, and on which role. */
import { utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeSettings } from "../../../src/postgres/settings.ts";
import { caughtUp, flavours } from "../../replication/lab.ts";
import { errorOf } from "../../support/sql.ts";
import { until } from "../../support/until.ts";
import { ask, MEMBER, one, openPair, type Pair, set, write } from "./pair.ts";

/** In this order, which the usual queries have; ours follow. */
const VIEWS: Readonly<Record<string, string>> = {
  replication_status:
    "application_name text, client_addr inet, state text, sync_state text, send_lag_bytes numeric, " +
    "write_lag_bytes numeric, flush_lag_bytes numeric, replay_lag_bytes numeric, write_lag interval, " +
    "flush_lag interval, replay_lag interval, node_id integer, sync_priority integer, sent_lsn pg_lsn, " +
    "write_lsn pg_lsn, flush_lsn pg_lsn, replay_lsn pg_lsn, slot_name name, reply_age interval, " +
    "counted boolean, diverged boolean",
  standby_status:
    "is_standby boolean, receive_lsn pg_lsn, replay_lsn pg_lsn, replay_lag_bytes numeric, " +
    "last_replay_time timestamp with time zone, replication_lag_time interval, receiver_status text, " +
    "received_tli integer, upstream text, replay_paused boolean, lag_known boolean",
  slots:
    "slot_name name, slot_type text, active boolean, retained_wal_bytes numeric, retained_wal text, " +
    "node_id integer, wal_status text, safe_wal_size bigint, restart_lsn pg_lsn, " +
    "confirmed_flush_lsn pg_lsn, xmin xid, catalog_xmin xid, inactive_for interval, failover boolean, " +
    "synced boolean, owner text",
  inactive_slots:
    "slot_name name, active boolean, retained_wal text, retained_wal_bytes numeric, " +
    "inactive_for interval, owner text",
  wal_usage:
    "wal_size text, wal_bytes numeric, wal_files bigint, max_wal_size_bytes bigint, " +
    "archive_ready bigint, disk_free_bytes bigint, full_in interval",
  sync_settings:
    "synchronous_commit text, synchronous_standby_names text, method text, needed integer, " +
    "listed integer, connected integer, satisfiable boolean, wanted text, matches boolean",
  sync_standbys:
    "application_name text, sync_state text, sync_priority integer, node_id integer, counted boolean, " +
    "flush_lag_bytes numeric",
  sync_connection: "application_name text, sync_state text, state text, node_id integer",
  lag:
    "application_name text, lag_mb numeric, replay_lag interval, node_id integer, stage text, " +
    "growth_bytes_per_s numeric",
  blocked_commits:
    "pid integer, wait_event_type text, wait_event text, state text, query text, " +
    "waiting_for interval, usename name, application_name text, client_addr inet",
  recovery_conflicts:
    "datname name, confl_tablespace bigint, confl_lock bigint, confl_snapshot bigint, " +
    "confl_bufferpin bigint, confl_deadlock bigint, confl_active_logicalslot bigint, " +
    "stats_reset timestamp with time zone",
};

const shapeOf = (view: string) => `
  select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' order by attnum) as shape
    from pg_attribute where attrelid = '${view}'::regclass and attnum > 0`;

const EVERYWHERE = ["slots", "wal_usage", "sync_settings", "standby_status"];
const ON_PRIMARY = ["replication_status", "sync_standbys", "sync_connection", "lag"];
const ON_STANDBY = ["standby_processes", "recovery_conflicts"];

describe.each(await flavours())("$name", ({ binDir }) => {
  let pair: Pair;
  beforeAll(async () => {
    pair = await openPair(binDir, { archive_mode: "on", archive_command: "false" });
    await caughtUp(pair.standby, pair.primary);
    await set(pair.primary, { synchronous_standby_names: `ANY 1 (${MEMBER})` });
    await until("the standby counts", { limitMs: 10_000 }, async () => {
      const rows = await pair.primary.sql("table pg_replica.sync_connection");
      return rows.length === 1;
    });
  }, 90_000);
  afterAll(() => pair?.lab.close());

  test.each(Object.entries(VIEWS))("%s has these columns, in this order", async (view, shape) => {
    expect(await one(pair.primary, shapeOf(`pg_replica.${view}`))).toEqual({ shape });
  });

  test("standby_processes has those of pg_stat_activity, whatever they are here", async () => {
    expect(await one(pair.primary, shapeOf("pg_replica.standby_processes"))).toEqual(
      await one(pair.primary, shapeOf("pg_stat_activity")),
    );
  });

  test("each answers a member of pgreplica_monitor on both roles, with rows where it says", async () => {
    const { primary, standby } = pair;
    for (const view of [...Object.keys(VIEWS), "standby_processes"]) {
      const here = (await ask(primary, `table pg_replica.${view}`, "watcher")).length;
      const there = (await ask(standby, `table pg_replica.${view}`, "watcher")).length;
      if (EVERYWHERE.includes(view))
        expect([here > 0, there > 0], view).toEqual([true, view !== "slots"]);
      if (ON_PRIMARY.includes(view)) expect([here, there], view).toEqual([1, 0]);
      if (ON_STANDBY.includes(view)) expect([here, there > 0], view).toEqual([0, true]);
    }
  });

  test("each is granted to pgreplica_monitor and to nobody else", async () => {
    const { primary } = pair;
    for (const view of [...Object.keys(VIEWS), "standby_processes"]) {
      const error = await errorOf(ask(primary, `table pg_replica.${view}`, "nobody"));
      expect(error.code, view).toBe("42501");
      const to = `select string_agg(a.grantee::regrole || ' ' || a.privilege_type, ', ') as may
                    from pg_class as c, aclexplode(c.relacl) as a
                   where c.oid = 'pg_replica.${view}'::regclass and a.grantee <> c.relowner`;
      expect(await one(primary, to), view).toEqual({ may: "pgreplica_monitor SELECT" });
    }
  });

  test("on a primary standby_status says so and nothing else", async () => {
    const { is_standby, ...rest } = await one(pair.primary, "table pg_replica.standby_status");
    expect(is_standby).toBe(false);
    expect(Object.values(rest).filter((value) => value !== null)).toEqual([]);
  });

  test("what PostgreSQL hides from a plain role is no answer of ours", async () => {
    // Two grants by hand, as somebody might try: the columns are null, and nothing claims that there is no lag.
    const { primary } = pair;
    await primary.sql(
      `grant usage on schema pg_replica to nobody;
       grant select on pg_replica.replication_status, pg_replica.standby_status to nobody;
       grant execute on all functions in schema pgreplica to nobody`,
    );
    await caughtUp(pair.standby, primary);
    try {
      const seen =
        "select replay_lag_bytes, replay_lag::text, counted from pg_replica.replication_status";
      expect(await ask(primary, seen, "nobody")).toEqual([
        { replay_lag_bytes: null, replay_lag: null, counted: null },
      ]);
      const there = "select replication_lag_time, lag_known from pg_replica.standby_status";
      expect(await one(pair.standby, there, "nobody")).toEqual({
        replication_lag_time: null,
        lag_known: false,
      });
    } finally {
      await primary.sql(
        `revoke all on all functions in schema pgreplica from nobody;
         revoke all on all tables in schema pg_replica from nobody;
         revoke all on schema pg_replica from nobody`,
      );
    }
  });

  test("columns of newer versions are there on every one", async () => {
    const { primary } = pair;
    const slot = `select inactive_for >= '0'::interval as inactive_for, failover, synced
                    from pg_replica.slots where slot_name = 'pgreplica_3'`;
    const of17 = { inactive_for: true, failover: false, synced: false };
    const before = { inactive_for: null, failover: null, synced: null };
    const major = Number.parseInt(pair.lab.binaries.version, 10);
    expect(await one(primary, slot)).toEqual(major >= 17 ? of17 : before);
  });

  test("the commit rule is taken apart, and compared with the one that is wanted", async () => {
    const { primary, lab } = pair;
    const rule = `ANY 1 (${MEMBER})`;
    const settings = "table pg_replica.sync_settings";
    expect(await one(primary, settings)).toEqual({
      synchronous_commit: "on",
      synchronous_standby_names: rule,
      method: "ANY",
      needed: 1,
      listed: 1,
      connected: 1,
      satisfiable: true,
      wanted: null,
      matches: null,
    });
    await writeSettings(primary.dir, { synchronous_standby_names: rule }, lab.owner);
    expect(await one(primary, settings)).toMatchObject({ wanted: rule, matches: true });
    await set(primary, { synchronous_standby_names: "" });
    expect(await one(primary, settings)).toMatchObject({
      method: null,
      needed: 0,
      listed: 0,
      satisfiable: true,
      wanted: rule,
      matches: false,
    });
    await set(primary, { synchronous_standby_names: 'FIRST 2 (a, "B, ""(c", pgr_9, *)' });
    expect(await one(primary, settings)).toMatchObject({ method: "FIRST", needed: 2, listed: 4 });
    await set(primary, { synchronous_standby_names: "a, b" });
    expect(await one(primary, settings)).toMatchObject({ method: "FIRST", needed: 1, listed: 2 });
    await set(primary, { synchronous_standby_names: rule });
    expect(await one(pair.standby, settings)).toMatchObject({ connected: 0, satisfiable: null });
  });

  test("a commit that waits for a standby is seen, and so is that none could confirm it", async () => {
    const { primary } = pair;
    await set(primary, { synchronous_standby_names: "ANY 1 (nobody)" });
    const waiting = ask(primary, "insert into t values (-1, 'waits')");
    const blocked = await until("a blocked commit", { limitMs: 10_000 }, async () => {
      const rows = await ask(
        primary,
        "select *, waiting_for::text as since from pg_replica.blocked_commits",
        "watcher",
      );
      return rows[0];
    });
    expect(blocked).toMatchObject({
      wait_event_type: "IPC",
      wait_event: "SyncRep",
      state: "active",
      query: "insert into t values (-1, 'waits')",
      usename: "postgres",
      application_name: "test",
    });
    expect(blocked.since).toMatch(/^00:00:0/);
    expect(
      await one(primary, "select connected, satisfiable from pg_replica.sync_settings"),
    ).toEqual({ connected: 0, satisfiable: false });
    await set(primary, { synchronous_standby_names: `ANY 1 (${MEMBER})` });
    await waiting;
    expect(await primary.sql("table pg_replica.blocked_commits")).toEqual([]);
  });

  test("WAL on the disk, and what waits for an archive that fails", async () => {
    const { primary } = pair;
    await write(primary, 1000);
    await primary.sql("select pg_switch_wal()");
    const usage = await until("a segment waits", { limitMs: 10_000 }, async () => {
      const row = await one(primary, "table pg_replica.wal_usage", "watcher");
      return Number(row.archive_ready) > 0 && row;
    });
    expect(usage).toMatchObject({ max_wal_size_bytes: String(96 * 1024 * 1024) });
    // Histories of backups and timelines, a few hundred bytes each, are no segments.
    const segments = Number(usage.wal_files) * 16 * 1024 * 1024;
    expect(Number(usage.wal_bytes) - segments).toBeGreaterThanOrEqual(0);
    expect(Number(usage.wal_bytes) - segments).toBeLessThan(10_000);
    expect(usage.wal_size).toBe(`${Number(usage.wal_files) * 16} MB`);
    expect(usage).toMatchObject({ disk_free_bytes: null, full_in: null });
  });

  test("what the worker measured is shown while it is fresh", async () => {
    const { primary } = pair;
    const file = join(dirname(primary.dir), "gauges.json");
    const growth = { [MEMBER]: "12.5" };
    await writeFile(file, JSON.stringify({ free_bytes: "123456789012", full_in_s: 90, growth }));
    const usage = "select disk_free_bytes, full_in::text from pg_replica.wal_usage";
    const lag = "select growth_bytes_per_s from pg_replica.lag";
    expect(await one(primary, usage, "watcher")).toEqual({
      disk_free_bytes: "123456789012",
      full_in: "00:01:30",
    });
    expect(await one(primary, lag, "watcher")).toEqual({ growth_bytes_per_s: "12.5" });
    const old = Date.now() / 1000 - 60;
    await utimes(file, old, old);
    expect(await one(primary, usage)).toEqual({ disk_free_bytes: null, full_in: null });
    expect(await one(primary, lag)).toEqual({ growth_bytes_per_s: null });
  });

  test("a query that replay ends is counted by its reason", async () => {
    const { primary, standby } = pair;
    await set(standby, { max_standby_streaming_delay: "100ms" });
    await caughtUp(standby, primary);
    const query = errorOf(ask(standby, "select pg_sleep(20) from t limit 1"));
    await until("the query runs", { limitMs: 10_000 }, async () => {
      const locks = await standby.sql("select from pg_locks where relation = 't'::regclass");
      return locks.length > 0;
    });
    await primary.sql("truncate t");
    expect((await query).code).toBe("40001");
    await until("it is counted", { limitMs: 10_000 }, async () => {
      const row = await one(
        standby,
        "select confl_lock from pg_replica.recovery_conflicts where datname = 'postgres'",
        "watcher",
      );
      return row.confl_lock === "1";
    });
  });
});
