/** Who may call what of the pgraft interface: every function and every role, on control store and data server. */
import type pg from "pg";
import { beforeAll, describe, expect, test } from "vitest";
import { install } from "../../../src/db/install.ts";
import { errorOf } from "../../support/sql.ts";
import { KINDS, useBothServers } from "./both-servers.ts";
import { another } from "./stores.ts";

/** By the contract: everything that changes nothing. */
const READS = [
  "get_applied_index",
  "get_cluster_status",
  "get_leader",
  "get_nodes",
  "get_nodes_from_raft",
  "get_queue_status",
  "get_term",
  "get_version",
  "get_worker_state",
  "is_leader",
  "kv_delete_local",
  "kv_exists",
  "kv_get",
  "kv_get_entry",
  "kv_get_stats",
  "kv_list",
  "kv_list_keys",
  "kv_put_local",
  "log_apply",
  "log_commit",
  "log_get_entries",
  "log_get_entry",
  "log_get_replication_status",
  "log_get_stats",
  "log_sync_with_leader",
  "record_applied_index",
  "test",
];
const ACTS = [
  "add_node",
  "init",
  "kv_cas",
  "kv_compact",
  "kv_delete",
  "kv_put",
  "kv_reset",
  "log_append",
  "remove_node",
  "replicate_entry",
  "set_apply_handler",
  "set_debug",
  "transfer_leadership",
];
const ALL = [...READS, ...ACTS].sort();

const servers = useBothServers("pgraft-rights");

describe.each(KINDS)("on the %s", (kind) => {
  let db: pg.Client;
  beforeAll(async () => {
    db = await servers(kind).connect();
    // The article's own roles and grants, word for word.
    await db.query(
      `create role nobody login; create role watcher login in role pgreplica_monitor;
       create role operator login in role pgreplica_admin; create role member login;
       create role pgraft_admin login; create role pgraft_monitor login;
       grant execute on function pgraft_add_node to pgraft_admin;
       grant execute on function pgraft_remove_node to pgraft_admin;
       grant execute on function pgraft_replicate_entry to pgraft_admin;
       grant execute on function pgraft_is_leader to pgraft_monitor;
       grant execute on function pgraft_get_leader to pgraft_monitor;
       grant execute on function pgraft_get_cluster_status to pgraft_monitor;
       grant select on pgraft_get_nodes to pgraft_monitor;`,
    );
    if (kind === "control store") await db.query("grant pgreplica_peer to member");
  });

  test.each([
    ["nobody", []],
    ["member", []],
    ["watcher", READS],
    ["operator", ALL],
    ["pgraft_admin", ["add_node", "remove_node", "replicate_entry"]],
    ["pgraft_monitor", ["get_cluster_status", "get_leader", "is_leader"]],
  ])("%s may call exactly these", async (role, allowed) => {
    const { rows } = await db.query(
      `select substr(p.proname, 8) as name
         from pg_proc as p
        where p.proname like 'pgraft\\_%' and p.pronamespace = 'public'::regnamespace
          and has_function_privilege($1, p.oid, 'execute') order by 1`,
      [role],
    );
    expect(rows.map(({ name }) => name)).toEqual([...allowed].sort());
  });

  test("there is one function of each name, and every one is spoken of here", async () => {
    const { rows } = await db.query(
      `select substr(p.proname, 8) as name from pg_proc as p
        where p.proname like 'pgraft\\_%' and p.pronamespace = 'public'::regnamespace order by 1`,
    );
    expect(rows.map(({ name }) => name)).toEqual(ALL);
  });

  test("a right is what its holder can do, and no more", async () => {
    const calls = async (user: string, statements: readonly string[]) => {
      const session = await another({ server: servers(kind) }, user);
      const codes: string[] = [];
      for (const statement of statements) {
        const code = await session.query(statement).then(
          () => "done",
          (error: pg.DatabaseError) => String(error.code),
        );
        codes.push(code);
      }
      await session.end();
      return codes;
    };
    const view = "select * from pgraft_get_nodes";
    const [none, seen, called, inner] = await calls("pgraft_monitor", [
      "select pgraft_get_term()",
      view,
      "select * from pgraft_get_nodes()",
      "select * from pgreplica.pgraft_nodes()",
    ]);
    // The data server here knows no control store: 55000 comes from behind the right.
    const reached = kind === "data server" ? "55000" : "done";
    expect([none, seen, called, inner]).toEqual(["42501", reached, "42501", "42501"]);
    expect(await calls("nobody", [view])).toEqual(["42501"]);
    expect(await calls("watcher", [view, "select pgraft_kv_reset()"])).toEqual([reached, "42501"]);
    expect(await calls("watcher", ["select pgraft_kv_put_local('k', 'v')"])).toEqual(["RF009"]);
  });

  test("identity is no session setting", async () => {
    await db.query("set pgraft.node_id = 9");
    const own = "select node_id from pgraft_get_nodes() where is_self";
    if (kind === "control store") expect((await db.query(own)).rows).toEqual([]);
    else expect((await errorOf(db.query(own))).code).toBe("55000");
    await db.query("reset pgraft.node_id");
  });

  test("users' grants survive when our functions are made anew", async () => {
    const grants = () =>
      db.query(
        `select p.proname, r.rolname, a.is_grantable
           from pg_proc as p, aclexplode(p.proacl) as a join pg_roles as r on r.oid = a.grantee
          where p.pronamespace in ('public'::regnamespace, 'pg_replica'::regnamespace)
         union all
         select c.relname, r.rolname, a.is_grantable
           from pg_class as c, aclexplode(c.relacl) as a join pg_roles as r on r.oid = a.grantee
          where c.relnamespace in ('public'::regnamespace, 'pg_replica'::regnamespace) order by 1, 2`,
      );
    await db.query("grant execute on function pg_replica.term() to watcher with grant option");
    const { rows: before } = await grants();
    expect(before).toContainEqual({
      proname: "pgraft_get_nodes",
      rolname: "pgraft_monitor",
      is_grantable: false,
    });
    await db.query("delete from pgreplica.sql_file where path = '00_schema.sql'");
    const { replaced } = await install(db, kind === "data server" ? "data" : "control");
    expect(replaced.length).toBeGreaterThan(50);
    expect((await grants()).rows).toEqual(before);
  });
});
