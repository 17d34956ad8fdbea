/** Whose confirmations count, and who only says so: names are all that PostgreSQL goes by. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseLsn } from "../../../src/core/ids.ts";
import { caughtUp, flavours, type LabServer } from "../../replication/lab.ts";
import { until } from "../../support/until.ts";
import { ask, CASCADED, MEMBER, one, openPair, type Pair, set, stream } from "./pair.ts";

const LIMIT = { limitMs: 15_000 };

describe.each(await flavours())("$name", ({ binDir }) => {
  let pair: Pair;
  let primary: LabServer;
  beforeAll(async () => {
    pair = await openPair(binDir);
    primary = pair.primary;
    await caughtUp(pair.standby, primary);
  }, 90_000);
  afterAll(() => pair?.lab.close());

  test("under ANY the word is quorum, under FIRST the others wait their turn", async () => {
    const other = await stream(primary, { name: "other" });
    const states = `
      select application_name, sync_state, counted from pg_replica.sync_standbys order by sync_priority`;
    const is = (rows: unknown) =>
      until("the standbys count so", LIMIT, async () => {
        expect(await ask(primary, states, "watcher")).toEqual(rows);
        return true;
      });
    try {
      other.report(parseLsn(await primary.value("select pg_current_wal_flush_lsn()")));
      await set(primary, { synchronous_standby_names: `ANY 1 (${MEMBER})` });
      await is([
        { application_name: "other", sync_state: "async", counted: false },
        { application_name: MEMBER, sync_state: "quorum", counted: true },
      ]);
      const connection =
        "select application_name, sync_state, state, node_id from pg_replica.sync_connection";
      const row = { application_name: MEMBER, state: "streaming", node_id: 2 };
      expect(await ask(primary, connection)).toEqual([{ ...row, sync_state: "quorum" }]);
      await set(primary, { synchronous_standby_names: `FIRST 1 (${MEMBER}, other)` });
      await is([
        { application_name: MEMBER, sync_state: "sync", counted: true },
        { application_name: "other", sync_state: "potential", counted: false },
      ]);
      expect(await ask(primary, connection)).toEqual([{ ...row, sync_state: "sync" }]);
    } finally {
      other.close();
      await set(primary, { synchronous_standby_names: "" });
    }
  });

  test("whoever uses a listed name is counted, and is no member (H07)", async () => {
    await set(primary, { synchronous_standby_names: `ANY 1 (${MEMBER}, ${CASCADED})` });
    // In capitals; a second time without the slot; and by another login.
    const strangers = await Promise.all([
      stream(primary, { name: MEMBER.toUpperCase(), user: "pgreplica_node_2" }),
      stream(primary, { name: MEMBER, user: "pgreplica_node_2" }),
      stream(primary, { name: CASCADED, user: "postgres", slot: "pgreplica_3" }),
    ]);
    try {
      const end = parseLsn(await primary.value("select pg_current_wal_flush_lsn()"));
      for (const one of strangers) one.report(end);
      const counted = `select application_name as name, node_id from pg_replica.sync_connection
                        order by node_id, application_name collate "C"`;
      await until("all are counted, one is a member", LIMIT, async () => {
        expect(await ask(primary, counted, "watcher")).toEqual([
          { name: MEMBER, node_id: 2 },
          { name: MEMBER.toUpperCase(), node_id: null },
          { name: MEMBER, node_id: null },
          { name: CASCADED, node_id: null },
        ]);
        return true;
      });
      expect(await one(primary, "select connected from pg_replica.sync_settings")).toEqual({
        connected: 4,
      });
    } finally {
      for (const one of strangers) one.close();
      await set(primary, { synchronous_standby_names: "" });
    }
  });

  test("a standby that has more on disk than its primary has another history (H20)", async () => {
    const ahead = await stream(primary, { name: "ahead" });
    try {
      const end = parseLsn(await primary.value("select pg_current_wal_flush_lsn()"));
      ahead.report(end + 100_000_000n);
      const rows = `select application_name as name, diverged, flush_lag_bytes::float8 < 0 as less
                      from pg_replica.replication_status order by application_name collate "C"`;
      await until("it is seen", LIMIT, async () => {
        expect(await ask(primary, rows, "watcher")).toEqual([
          { name: "ahead", diverged: true, less: true },
          { name: MEMBER, diverged: false, less: false },
        ]);
        return true;
      });
    } finally {
      ahead.close();
    }
  });
});
