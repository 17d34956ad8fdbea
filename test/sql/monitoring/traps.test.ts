/** What PostgreSQL's own monitoring functions say that is not so, and what our views say instead. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseLsn } from "../../../src/core/ids.ts";
import { lookAt, probeDataServer } from "../../../src/db/data-server.ts";
import { caughtUp, clock, flavours, type LabServer } from "../../replication/lab.ts";
import { errorOf } from "../../support/sql.ts";
import { holds, until } from "../../support/until.ts";
import {
  ask,
  CASCADED,
  copyOf,
  following,
  MEMBER,
  one,
  openPair,
  type Pair,
  restarted,
  session,
  set,
  untilStreaming,
  write,
} from "./pair.ts";

const LIMIT = { limitMs: 15_000 };
const STANDBY = `
  select receive_lsn::text, replay_lsn::text, replay_lag_bytes, replication_lag_time::text as lag_time,
         receiver_status, received_tli, upstream, replay_paused, lag_known
    from pg_replica.standby_status`;
const MEMBERS = `
  select *, write_lag::text as written, flush_lag::text as flushed, replay_lag::text as replayed,
         extract(epoch from reply_age)::float8 as age
    from pg_replica.replication_status where node_id = 2`;

describe.each(await flavours())("$name", ({ binDir }) => {
  let pair: Pair;
  let primary: LabServer;
  let standby: LabServer;
  beforeAll(async () => {
    pair = await openPair(binDir);
    ({ primary, standby } = pair);
  }, 90_000);
  afterAll(() => pair?.lab.close());

  /** All is replayed, and the primary has heard of it and forgotten the last measured lags. */
  const atRest = async () => {
    await write(primary, 0);
    await caughtUp(standby, primary);
    await until("the primary knows", LIMIT, async () => {
      const [row] = await primary.sql(
        `select replay_lag is null and replay_lsn = pg_current_wal_lsn() from pg_stat_replication
          where application_name = '${MEMBER}'`,
      );
      return row?.[0] === "t";
    });
  };
  const receiver = async () =>
    Number(
      await standby.value("select pid from pg_stat_activity where backend_type = 'walreceiver'"),
    );

  test("an idle primary: the last transaction gets old, and the lag stays 0", async () => {
    await atRest();
    await until("the last transaction is old", LIMIT, async () => {
      const age = "select now() - pg_last_xact_replay_timestamp() > interval '1.5 s'";
      return (await standby.value(age)) === "t";
    });
    expect(await one(standby, STANDBY, "watcher")).toMatchObject({
      replay_lag_bytes: "0",
      lag_time: "00:00:00",
      receiver_status: "streaming",
      received_tli: 1,
      upstream: `127.0.0.1:${primary.port}`,
      replay_paused: false,
      lag_known: true,
    });
  });

  test("an idle standby: null lags with nothing missing are 0", async () => {
    await atRest();
    // Reading may itself write a little WAL, now and then.
    await until("nothing is missing", LIMIT, async () => {
      expect(await one(primary, MEMBERS, "watcher")).toMatchObject({
        replay_lag_bytes: "0",
        written: "00:00:00",
        flushed: "00:00:00",
        replayed: "00:00:00",
        diverged: false,
        slot_name: "pgreplica_2",
      });
      expect(await one(primary, "select lag_mb, stage from pg_replica.lag", "watcher")).toEqual({
        lag_mb: "0.0",
        stage: "none",
      });
      return true;
    });
  });

  test("a frozen standby still streams: unknown lags, its last answer gets old", async () => {
    await atRest();
    const pid = await receiver();
    process.kill(pid, "SIGSTOP");
    try {
      await write(primary, 20_000_000);
      const row = await until("its answer is old", LIMIT, async () => {
        const seen = await one(primary, MEMBERS, "watcher");
        return Number(seen.age) > 2 && seen;
      });
      expect(row).toMatchObject({
        state: "streaming",
        replayed: null,
        written: null,
        flushed: null,
      });
      expect(Number(row.replay_lag_bytes)).toBeGreaterThan(20_000_000);
      // What the sockets hold is sent; the rest waits for the network.
      const lag = await one(primary, "select lag_mb::float8 as mb, stage from pg_replica.lag");
      expect(lag).toEqual({
        mb: expect.closeTo(Number(row.replay_lag_bytes) / 2 ** 20, 0),
        stage: "send",
      });
    } finally {
      process.kill(pid, "SIGCONT");
    }
    await caughtUp(standby, primary);
  });

  test("a frozen primary: its port accepts, its standby streams; what is asked has a limit", async () => {
    await atRest();
    await set(standby, { wal_receiver_timeout: "2s" });
    const sender = `select pid from pg_stat_replication where application_name = '${MEMBER}'`;
    const frozen = [primary.process.pid, Number(await primary.value(sender))];
    for (const pid of frozen) process.kill(pid, "SIGSTOP");
    try {
      const { host, port, user } = primary;
      const asked = clock.now();
      const probe = await probeDataServer({ host, port, user, password: "", limitMs: 300 });
      expect(probe).toBe("silent");
      expect(clock.now() - asked).toBeLessThan(2000);
      expect(await one(standby, STANDBY)).toMatchObject({ receiver_status: "streaming" });
      const gone = await until("nothing is known any more", LIMIT, async () => {
        const row = await one(standby, STANDBY, "watcher");
        return row.lag_known === false && row;
      });
      expect(gone).toMatchObject({ lag_time: null, replay_lag_bytes: null });
    } finally {
      for (const pid of frozen) process.kill(pid, "SIGCONT");
    }
    await set(standby, { wal_receiver_timeout: "1min" });
    await untilStreaming(standby);
  });

  test("replay that is paused: the lag grows, and is known", async () => {
    await atRest();
    await standby.sql("select pg_wal_replay_pause()");
    try {
      await write(primary, 3_000_000);
      await until("it has received more than it has replayed", LIMIT, async () => {
        const { replay_lag_bytes } = await one(standby, STANDBY);
        return Number(replay_lag_bytes) > 3_000_000;
      });
      expect(await one(standby, STANDBY)).toMatchObject({
        lag_time: expect.stringMatching(/^00:00:/),
        replay_paused: true,
        lag_known: true,
      });
      await until("the primary knows where it stops", LIMIT, async () => {
        const { stage } = await one(primary, "select stage from pg_replica.lag where node_id = 2");
        return stage === "replay";
      });
    } finally {
      await standby.sql("select pg_wal_replay_resume()");
    }
    await caughtUp(standby, primary);
  });

  test("half a record at the end: replay stays behind for ever, and all is replayed", async () => {
    await atRest();
    const db = await session(primary);
    try {
      // The WAL writer flushes whole pages; the end of the record waits for a commit. Somebody else may flush it.
      await db.query("begin");
      let written = 100;
      const half = await until("receive stands inside a record", LIMIT, async () => {
        await db.query(
          "insert into t select -g, repeat('x', 3000) from generate_series($1::int, $1 + 300) g",
          [written],
        );
        written += 301;
        return await until("it is received", { limitMs: 2000 }, async () => {
          const row = await one(standby, STANDBY);
          const at = parseLsn(String(row.receive_lsn));
          const inside = at % 8192n === 0n && parseLsn(String(row.replay_lsn)) < at;
          return inside && row.lag_time === "00:00:00" && row;
        });
      });
      expect(half).toMatchObject({ lag_known: true, lag_time: "00:00:00" });
      expect(Number(half.replay_lag_bytes)).toBeGreaterThan(0);
    } finally {
      await db.query("rollback");
      await db.end();
    }
  });

  test("a standby holds slots too, and pg_current_wal_lsn() fails there", async () => {
    expect((await errorOf(ask(standby, "select pg_current_wal_lsn()"))).code).toBe("55000");
    await standby.sql(
      `select pg_create_physical_replication_slot('pgreplica_3', true);
       select pg_create_physical_replication_slot('theirs', true)`,
    );
    await write(primary, 500_000);
    await caughtUp(standby, primary);
    const slots = await ask(
      standby,
      "select slot_name, node_id, owner, active, retained_wal_bytes > 0 as keeps from pg_replica.slots order by 1",
      "watcher",
    );
    expect(slots).toEqual([
      { slot_name: "pgreplica_3", node_id: 3, owner: "member", active: false, keeps: true },
      { slot_name: "theirs", node_id: null, owner: "other", active: false, keeps: true },
    ]);
    const names = (await ask(standby, "table pg_replica.inactive_slots")).map(
      (row) => row.slot_name,
    );
    expect(names.sort()).toEqual(["pgreplica_3", "theirs"]);
    await standby.sql("select pg_drop_replication_slot('theirs')");
  });

  test("slots of members do not come with a base backup: which are missing can be seen", async () => {
    const members = "select array_agg(node_id order by node_id) as ids from pg_replica.slots";
    expect(await one(primary, members)).toEqual({ ids: [2, 3] });
    expect(await one(standby, members)).toEqual({ ids: [3] });
  });

  test("under load no standby seems ahead: the primary's end is read after the rows", async () => {
    const writing = (async () => {
      for (let round = 0; round < 20; round += 1) await write(primary, 200_000);
    })();
    const ahead = `select from pg_replica.replication_status where diverged or flush_lag_bytes < 0
                    union all select from pg_replica.standby_status where replay_lag_bytes < 0`;
    await holds("nobody is ahead", { forMs: 800, everyMs: 5 }, async () => {
      return (await primary.sql(ahead)).length === 0 && (await standby.sql(ahead)).length === 0;
    });
    await writing;
  });

  test("a lost slot keeps nothing, for ever: it fills no disk", async () => {
    await primary.sql("select pg_create_physical_replication_slot('abandoned', true)");
    await caughtUp(standby, primary);
    const abandoned = `select wal_status, retained_wal_bytes, retained_wal from pg_replica.slots
                        where slot_name = 'abandoned'`;
    await write(primary, 100_000);
    expect(Number((await one(primary, abandoned)).retained_wal_bytes)).toBeGreaterThan(100_000);
    await set(primary, { max_slot_wal_keep_size: "16MB" });
    for (let round = 0; round < 4; round += 1) {
      await write(primary, 1000);
      await primary.sql("select pg_switch_wal()");
    }
    await caughtUp(standby, primary);
    await primary.sql("checkpoint");
    expect(await one(primary, abandoned, "watcher")).toEqual({
      wal_status: "lost",
      retained_wal_bytes: "0",
      retained_wal: "0 bytes",
    });
    const inactive = await ask(primary, "select slot_name from pg_replica.inactive_slots");
    expect(inactive.map((row) => row.slot_name)).not.toContain("abandoned");
    await primary.sql("select pg_drop_replication_slot('abandoned')");
    await set(primary, { max_slot_wal_keep_size: "-1" });
  });

  test("a receiver that is gone: nobody can tell how far behind, so nobody says 0", async () => {
    await atRest();
    standby = await restarted(
      { ...pair, standby },
      { ...following(primary, 2, MEMBER), primary_conninfo: "" },
    );
    // Restarted it has received nothing, says PostgreSQL (H08); it holds all that it has replayed.
    expect(await standby.sql("select pg_last_wal_receive_lsn()")).toEqual([[null]]);
    const alone = await one(standby, STANDBY, "watcher");
    expect(alone).toMatchObject({
      receive_lsn: alone.replay_lsn,
      replay_lag_bytes: null,
      lag_time: null,
      receiver_status: null,
      upstream: null,
      lag_known: false,
    });
    expect(alone.receive_lsn).not.toBeNull();
    standby = await restarted({ ...pair, standby }, following(primary, 2, MEMBER));
    await untilStreaming(standby);
    // It streams from the beginning of a segment again.
    const row = await one(standby, STANDBY);
    expect(parseLsn(String(row.receive_lsn))).toBeGreaterThanOrEqual(
      parseLsn(String(alone.receive_lsn)),
    );
    expect(Number(row.replay_lag_bytes)).toBeGreaterThanOrEqual(0);
  });

  test("after a promotion the new timeline is told at once, here and by who follows", async () => {
    await standby.sql("select from pg_drop_replication_slot('pgreplica_3')").catch(() => undefined);
    await standby.sql("select pg_create_physical_replication_slot('pgreplica_3', true)");
    const next = following(standby, 3, CASCADED);
    const cascaded = await copyOf(pair.lab, standby, "cascaded", next);
    await untilStreaming(cascaded);
    const seen = "select node_id, state, counted, diverged from pg_replica.replication_status";
    expect(await ask(standby, seen, "watcher")).toEqual([
      { node_id: 3, state: "streaming", counted: false, diverged: null },
    ]);
    const db = await session(standby);
    try {
      await db.query("select pg_promote(true, 20)");
      expect((await lookAt(db)).timeline).toBe(2);
      const { rows } = await db.query("table pg_replica.standby_status");
      expect(Object.values(rows[0]).filter((value) => value !== null)).toEqual([false]);
      await until("the next one follows", LIMIT, async () => {
        const row = await one(cascaded, STANDBY, "watcher");
        return row.received_tli === 2 && row.lag_known === true;
      });
    } finally {
      await db.end();
    }
    expect(await ask(standby, seen)).toEqual([
      { node_id: 3, state: "streaming", counted: false, diverged: false },
    ]);
  });

  test("default_transaction_read_only keeps nobody from writing, so no view goes by it", async () => {
    await set(primary, { default_transaction_read_only: "on" });
    try {
      expect((await errorOf(ask(primary, "insert into t values (-5, 'x')"))).code).toBe("25006");
      await ask(primary, "begin read write; insert into t values (-5, 'x'); commit");
      const uses = `select viewname as name from pg_views
                     where schemaname = 'pg_replica' and definition like '%transaction_read_only%'`;
      expect(await ask(primary, uses)).toEqual([]);
      expect(await one(primary, "select is_standby from pg_replica.standby_status")).toEqual({
        is_standby: false,
      });
    } finally {
      await set(primary, { default_transaction_read_only: "off" });
    }
  });
});
