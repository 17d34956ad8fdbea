/** The pgraft interface, log and keys: its names, its words, its rule for writes, on control store and data server. */
import type pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { install } from "../../../src/db/install.ts";
import { writeSettings } from "../../../src/postgres/settings.ts";
import { openScratch, type Scratch, type ScratchServer } from "../../support/scratch.ts";
import { errorOf } from "../../support/sql.ts";
import { elect, lead, live, openStore, type Store, threeMembers } from "./stores.ts";

let scratch: Scratch;
let leader: Store;
let follower: Store;
/** Of the follower's node. */
let data: ScratchServer;
let dataDb: pg.Client;
let stores: Store[];
const working: { stop(): Promise<void> }[] = [];

beforeAll(async () => {
  scratch = await openScratch("pgraft");
  leader = await openStore(scratch, 1);
  follower = await openStore(scratch, 2);
  stores = [leader, follower];
  data = await scratch.start();
  dataDb = await data.connect();
  await install(dataDb, "data");
  await writeSettings(
    data.server.dataDir,
    {
      "pgreplica.control_socket": follower.server.host,
      "pgreplica.control_port": follower.server.port,
    },
    scratch.owner,
  );
}, 90_000);
beforeEach(async () => {
  await threeMembers(stores);
  await elect(stores, 1);
  for (const store of stores) await live(store);
});
afterEach(async () => {
  for (const worker of working.splice(0)) await worker.stop();
});
afterAll(() => scratch.close());

const leading = () => working.push(lead(leader, stores));
async function value(db: pg.Client, call: string, values: unknown[] = []) {
  return (await db.query(`select ${call} as v`, values)).rows[0].v;
}

describe.each(["leader", "follower", "data server"])("on the %s", (where) => {
  const db = () => (where === "leader" ? leader.db : where === "follower" ? follower.db : dataDb);
  beforeEach(leading);

  test("entries and keys are written, true means done, and read", async () => {
    await db().query("set pgraft.forward_writes = on");
    expect(await value(db(), "pgraft_replicate_entry('{\"set\": 1}')")).toBe(true);
    expect(await value(db(), "pgraft_replicate_entry('once', 'id 1')")).toBe(true);
    expect(await value(db(), "pgraft_replicate_entry('twice', 'id 1')")).toBe(true);
    const { rows } = await follower.db.query("select index, data from pg_replica.entries()");
    expect(rows.map((row) => row.data)).toEqual(['{"set": 1}', "once"]);
    expect(await value(db(), "pgraft_log_get_entry($1)", [rows[1].index])).toBe("once");
    expect(await value(db(), "pgraft_log_get_entry(1)")).toBeNull();
    expect(await value(db(), "pgraft_kv_put('a', '1')")).toBe(true);
    expect(await value(db(), "pgraft_kv_put('b', '2')")).toBe(true);
    expect(await value(db(), "pgraft_kv_get('a')")).toBe("1");
    expect(await value(db(), "pgraft_kv_exists('c', 'local')")).toBe(false);
    const [entry] = (await db().query("select * from pgraft_kv_get_entry('a')")).rows;
    expect(entry).toMatchObject({ value: "1", created_version: entry.version });
    const cas = "select * from pgraft_kv_cas('a', $1, '3')";
    const swapped = (await db().query(cas, [entry.version])).rows;
    expect(swapped).toMatchObject([{ swapped: true, value: "3" }]);
    expect((await db().query(cas, [entry.version])).rows).toEqual([
      { ...swapped[0], swapped: false },
    ]);
    expect(await value(db(), "pgraft_kv_delete('b')")).toBe(true);
    expect(await value(db(), "pgraft_kv_delete('b')")).toBe(false);
    expect((await db().query("select * from pgraft_kv_list_keys()")).rows).toEqual([
      { pgraft_kv_list_keys: "a" },
    ]);
    expect((await db().query("select * from pgraft_kv_list('a')")).rows).toMatchObject([
      { key: "a", value: "3", version: swapped[0].version },
    ]);
    const stats = async () => (await db().query("select * from pgraft_kv_get_stats()")).rows[0];
    expect(await stats()).toMatchObject({
      num_entries: 2,
      total_operations: "4",
      puts: "3",
      deletes: "1",
      active_entries: 1,
      deleted_entries: 1,
      total_bytes: "2",
      compacted_version: "0",
    });
    expect(await value(db(), "pgraft_kv_compact()")).toBe(true);
    expect(await stats()).toMatchObject({ num_entries: 1, deleted_entries: 0 });
    expect(await value(db(), "pgraft_kv_reset()")).toBe(true);
    expect(await value(db(), "pgraft_log_sync_with_leader()")).toBe(true);
    expect(await value(db(), "pgraft_kv_get('a', 'local')")).toBeNull();
  });

  test("status answers from this node", async () => {
    expect(await value(db(), "pgraft_is_leader()")).toBe(where === "leader");
    expect(await value(db(), "pgraft_get_leader()")).toBe("1");
    expect(BigInt(await value(db(), "pgraft_get_term()"))).toBeGreaterThan(7n);
  });

  test("a stale term is refused with RF004, and puts nothing in", async () => {
    await db().query("set pgraft.forward_writes = on");
    // The leader by hand applies everything in term 1.
    expect(BigInt(await value(db(), "pgraft_log_append(1, 'in time')"))).toBeGreaterThan(0n);
    const error = await errorOf(db().query("select pgraft_log_append(3, 'late')"));
    expect(error.code).toBe("RF004");
    expect(error.message).toMatch(/^pgraft: term 3 is over, current term is \d+$/);
    const { rows } = await follower.db.query("select data from pg_replica.entries()");
    expect(rows).toEqual([{ data: "in time" }]);
  });
});

describe.each(["follower", "data server"])("on the %s, not forwarded", (where) => {
  const db = () => (where === "follower" ? follower.db : dataDb);

  test.each([
    ["replicate_entry('x')", "pgraft: cannot replicate entry - this node is not the leader"],
    ["log_append(1, 'x')", "pgraft: cannot append entry - this node is not the leader"],
    [
      "kv_put('k', 'v')",
      "pgraft_kv: write operations only allowed on leader node (current leader: 1)",
    ],
    ["kv_reset()", "pgraft_kv: write operations only allowed on leader node (current leader: 1)"],
  ])("%s is the leader's alone", async (call, message) => {
    leading();
    await db().query("reset pgraft.forward_writes");
    const error = await errorOf(db().query(`select pgraft_${call}`));
    expect(error).toMatchObject({ code: "RF001", message, detail: "Current leader: 1." });
    expect((await leader.db.query("select * from raft.inbox")).rows).toEqual([]);
  });
});

test("without a leader: RF002 in the documented words", async () => {
  await elect(stores, null);
  for (const db of [follower.db, dataDb]) {
    const error = await errorOf(db.query("select pgraft_kv_put('k', 'v')"));
    expect(error).toMatchObject({
      code: "RF002",
      message: "pgraft: raft consensus not ready",
      detail: "Current leader: none.",
    });
    expect(await value(db, "pgraft_get_leader()")).toBe("0");
    expect(await value(db, "pgraft_is_leader()")).toBe(false);
  }
});

test("a leader that took it and a majority that did not: RF003, never false", async () => {
  const error = await errorOf(leader.db.query("select pgraft_replicate_entry('x')"));
  expect(error.code).toBe("RF003");
  expect(error.message).toMatch(
    /^pgraft: outcome unknown after \d{4} ms; the entry may still commit$/,
  );
});

test.each(["kv_put_local('k', 'v')", "kv_delete_local('k')", "record_applied_index(1)"])(
  "%s would bypass consensus: RF009",
  async (call) => {
    for (const db of [leader.db, dataDb]) {
      const error = await errorOf(db.query(`select pgraft_${call}`));
      expect(error.code).toBe("RF009");
      expect(error.hint).toBeTruthy();
    }
  },
);

test("both kinds of server have the same functions and comments", async () => {
  const sql = `select p.proname, pg_get_function_arguments(p.oid) as arguments, p.provolatile,
      pg_get_function_result(p.oid) as result, obj_description(p.oid, 'pg_proc') as comment
    from pg_proc as p where p.proname like 'pgraft\\_%' and p.pronamespace = 'public'::regnamespace order by 1`;
  const { rows } = await leader.db.query(sql);
  expect((await dataDb.query(sql)).rows).toEqual(rows);
  expect(rows.filter(({ comment }) => comment === null)).toEqual([]);
});
