/** What the schema pg_replica shows to whom: comments, grants, and the same on both kinds of server. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { render } from "../../../scripts/sql-docs.ts";
import { install } from "../../../src/db/install.ts";
import { openScratch, type Scratch } from "../../support/scratch.ts";
import { errorOf } from "../../support/sql.ts";
import { another, openStore, type Store } from "./stores.ts";

const READS = [
  "status()",
  "cluster()",
  "primary()",
  "members()",
  "requests()",
  "events()",
  "history()",
  "progress()",
  "explain('node1')",
  "explain(1)",
  "version()",
  "leader()",
  "is_leader()",
  "term()",
  "settings()",
  "entries()",
  "kv_get('x', 'local')",
  "kv_get_entry('x', 'local')",
  "kv_exists('x', 'local')",
  "kv_list(consistency => 'local')",
  "kv_history('x', consistency => 'local')",
];
const ACTS = [
  "failover('x')",
  "failover(9)",
  "switchover('x')",
  "switchover(9)",
  "cancel(9)",
  "pause(null)",
  "resume()",
  "recover(false, null)",
  "replicate(null::text)",
  "replicate(null::text[])",
  "replicate(null::jsonb[])",
  "kv_put(null, null)",
  "kv_delete(null)",
  "kv_cas(null, null, null)",
  "kv_compact()",
  "invitation()",
  "add_node('x')",
  "remove_node('x')",
  "remove_node(9)",
  "set_node('x')",
  "set_node(9)",
  "set(null, null)",
  "reset(null)",
];
const VIEWS = [
  "status",
  "cluster",
  "primary",
  "members",
  "requests",
  "events",
  "history",
  "progress",
  "settings",
];

/** On the data server alone: each tells of the server it is asked on. */
const MONITORING = [
  "blocked_commits",
  "inactive_slots",
  "lag",
  "recovery_conflicts",
  "replication_status",
  "slots",
  "standby_processes",
  "standby_status",
  "sync_connection",
  "sync_settings",
  "sync_standbys",
  "wal_usage",
];

let scratch: Scratch;
let store: Store;
let data: Store;

beforeAll(async () => {
  scratch = await openScratch("public");
  store = await openStore(scratch, 1);
  const server = await scratch.start();
  const db = await server.connect();
  await install(db, "data");
  data = { id: 1, server, db };
  for (const one of [store.db, db]) {
    await one.query(
      `create role nobody login; create role watcher login in role pgreplica_monitor;
       create role operator login in role pgreplica_admin`,
    );
  }
}, 60_000);
afterAll(() => scratch.close());

async function as<T>(target: Store, user: string, work: (db: pg.Client) => Promise<T>): Promise<T> {
  const db = await another(target, user);
  try {
    return await work(db);
  } finally {
    await db.end();
  }
}

/** Which of these statements are refused for want of a privilege. */
async function forbidden(target: Store, user: string, calls: readonly string[]): Promise<string[]> {
  return as(target, user, async (db) => {
    const refused: string[] = [];
    for (const call of calls) {
      const code = await db.query(`select * from pg_replica.${call}`).then(
        () => "",
        (error: pg.DatabaseError) => error.code,
      );
      if (code === "42501") refused.push(call);
    }
    return refused;
  });
}

describe.each(["control store", "data server"])("on the %s", (kind) => {
  const target = () => (kind === "control store" ? store : data);
  const views = kind === "control store" ? VIEWS : [...VIEWS, ...MONITORING];
  const rows = async (sql: string) => (await target().db.query(sql)).rows;

  test("a role in no group may call nothing", async () => {
    const all = [...READS, ...ACTS, ...views];
    expect(await forbidden(target(), "nobody", all)).toEqual(all);
  });

  test("pgreplica_monitor may read, and cannot act", async () => {
    expect(await forbidden(target(), "watcher", [...READS, ...views])).toEqual([]);
    expect(await forbidden(target(), "watcher", ACTS)).toEqual(ACTS);
  });

  test("pgreplica_admin may do all", async () => {
    // No leader is there to hear resume(): RF002 is no want of privilege.
    expect(await forbidden(target(), "operator", [...READS, ...ACTS, ...views])).toEqual([]);
  });

  test("these are all functions and views there are", async () => {
    const functions = await rows(
      "select distinct proname as name from pg_proc where pronamespace = 'pg_replica'::regnamespace order by 1",
    );
    const called = [...READS, ...ACTS].map((call) => call.split("(")[0]);
    expect(functions.map(({ name }) => name)).toEqual([...new Set(called)].sort());
    const there = await rows(
      "select relname as name, relkind from pg_class where relnamespace = 'pg_replica'::regnamespace order by 1",
    );
    expect(there).toEqual(views.toSorted().map((name) => ({ name, relkind: "v" })));
  });

  test("nothing of ours is granted to PUBLIC", async () => {
    const schemas = "('raft', 'peer', 'cluster', 'node', 'pg_replica', 'pgreplica')";
    const open = await rows(
      `select p.oid::regprocedure::text as what from pg_proc as p
         cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a
        where a.grantee = 0 and p.prorettype <> 'trigger'::regtype
          and p.pronamespace in (select oid from pg_namespace where nspname in ${schemas})
       union all
       select c.oid::regclass::text from pg_class as c, aclexplode(c.relacl) as a
        where a.grantee = 0 and c.relnamespace in (select oid from pg_namespace where nspname in ${schemas})
       union all
       select n.nspname from pg_namespace as n, aclexplode(n.nspacl) as a
        where a.grantee = 0 and n.nspname in ${schemas}`,
    );
    // Behind the view pgraft_get_nodes, and out of everybody's reach.
    expect(open).toEqual([{ what: "pgreplica.pgraft_nodes()" }]);
  });

  test("every function, view and column has a comment", async () => {
    const silent = await rows(
      `select oid::regprocedure::text as what from pg_proc
        where pronamespace = 'pg_replica'::regnamespace and obj_description(oid, 'pg_proc') is null
       union all
       select c.oid::regclass || coalesce('.' || a.attname, '')
         from pg_class as c left join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0
        where c.relnamespace = 'pg_replica'::regnamespace
          and (obj_description(c.oid, 'pg_class') is null or col_description(c.oid, a.attnum) is null)`,
    );
    expect(silent).toEqual([]);
  });

  test("every function runs as its owner, with a search path nobody else can fill", async () => {
    const wrong = await rows(
      `select oid::regprocedure::text as what from pg_proc
        where pronamespace = 'pg_replica'::regnamespace
          and (not prosecdef or not coalesce(proconfig @> '{"search_path=\\"\\", pg_temp"}', false))`,
    );
    expect(wrong).toEqual([]);
  });
});

test("both kinds of server have the same functions and views, but those that watch one server", async () => {
  const watching = MONITORING.map((name) => `'${name}'`);
  const sql = `
    select p.proname as name, pg_get_function_arguments(p.oid) as arguments,
           pg_get_function_result(p.oid) as result, obj_description(p.oid, 'pg_proc') as comment
      from pg_proc as p where p.pronamespace = 'pg_replica'::regnamespace
    union all
    select c.relname, a.attname, a.atttypid::regtype::text, col_description(c.oid, a.attnum)
      from pg_class as c join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0
     where c.relnamespace = 'pg_replica'::regnamespace and c.relname not in (${watching})
     order by 1, 2`;
  expect((await data.db.query(sql)).rows).toEqual((await store.db.query(sql)).rows);
});

test("version() is the package's", async () => {
  const file = await readFile(join(import.meta.dirname, "../../../package.json"), "utf8");
  const { rows } = await store.db.query("select pg_replica.version() as version");
  expect(rows).toEqual([{ version: JSON.parse(file).version }]);
});

test("docs/sql.md says what the catalog says", async () => {
  const file = await readFile(join(import.meta.dirname, "../../../docs/sql.md"), "utf8");
  expect(await render(store.db, data.db), "run npm run docs").toBe(file);
});

test("a peer may call the wire protocol and nothing else", async () => {
  expect(await forbidden(store, "pgreplica_node_2", [...READS, ...ACTS, ...VIEWS])).toHaveLength(
    READS.length + ACTS.length + VIEWS.length,
  );
  await as(store, "pgreplica_node_2", async (db) => {
    for (const sql of [
      "select * from node.secret",
      "select * from raft.hard_state",
      "select * from cluster.member",
      "select pgreplica.own_conninfo()",
      "select pgreplica.dblink_connect('x', 'host=/tmp')",
      "select raft.now()",
      "create temporary table t ()",
      "create table public.t ()",
    ]) {
      expect((await errorOf(db.query(sql))).code, sql).toBe("42501");
    }
    // RF008: the function ran, and refused a stranger.
    const hello = "select * from peer.hello(gen_random_uuid(), 2, gen_random_uuid())";
    expect((await errorOf(db.query(hello))).code).toBe("RF008");
  });
});

test("SELECT of a function and TABLE of its view both run", async () => {
  for (const name of VIEWS) {
    await store.db.query(`select pg_replica.${name}()`);
    await store.db.query(`table pg_replica.${name}`);
  }
});
