/** The same functions on a data server, primary and standby: forwarded to the node's own control store. */
import { describe, expect, test } from "vitest";
import { monotonicClock } from "../../../src/clock/clock.ts";
import { install } from "../../../src/db/install.ts";
import { writeSettings } from "../../../src/postgres/settings.ts";
import type { ScratchServer } from "../../support/scratch.ts";
import { errorOf } from "../../support/sql.ts";
import { useDataServers } from "./data-servers.ts";
import { type Entry, newestRequest } from "./stores.ts";

const URI = "postgresql://10.0.0.1:7482/postgres";
const READS = [
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

const servers = useDataServers("forward", URI);
const { login } = servers;

/** A coordinator by hand: what becomes of each request. */
function leading(...entries: (Entry | ((request: number) => Entry))[]): void {
  servers.lead(async ({ kind }, db) => {
    if (kind !== "request") return [];
    const request = await newestRequest(db);
    return entries.map((entry) => (typeof entry === "function" ? entry(request) : entry));
  });
}

const at = "2026-01-01T12:00:00Z";
const becomes = (state: Record<string, unknown>) => (request_id: number) => ({
  kind: "request_state",
  body: { request_id, at, ...state },
});
const DONE = becomes({ state: "done", from_node: 1, to_node: 2, epoch: 3 });

describe.each(["primary", "standby"] as const)("on the data server of a %s", (kind) => {
  const server = () => servers[kind];

  test("it is what it says", async () => {
    const db = await login(server());
    const { rows } = await db.query("select pg_is_in_recovery() as standby");
    expect(rows).toEqual([{ standby: kind === "standby" }]);
  });

  test.each(READS)("%s answers as the control store does", async (name) => {
    const entries = ["failover", "switchover"].map((request) => ({
      kind: "request",
      body: { key: crypto.randomUUID(), kind: request, by: "bob", at, args: {} },
    }));
    for (const { body } of entries) {
      await servers.store.db.query("select cluster.apply_request(7, $1)", [JSON.stringify(body)]);
    }
    await servers.store.db.query(
      "insert into node.progress values (1, 'clone', 'copying', 5, null, now())",
    );
    const db = await login(server(), "alice");
    const own = await servers.store.db.query(`select * from pg_replica.${name}`);
    expect(own.rows.length).toBeGreaterThan(0);
    for (const from of [`pg_replica.${name}`, `pg_replica.${name}()`]) {
      const there = await db.query(`select * from ${from}`);
      expect(there.rows).toEqual(own.rows);
      expect(there.fields.map((f) => [f.name, f.dataTypeID])).toEqual(
        own.fields.map((f) => [f.name, f.dataTypeID]),
      );
    }
  });

  test("explain and the single values answer too, in a read-only transaction", async () => {
    const db = await login(server(), "alice");
    await db.query("begin isolation level repeatable read read only");
    const select = `select pg_replica.leader() as leader, pg_replica.is_leader() as leads, pg_replica.term() as term,
      pg_replica.version() as version, (select count(*) from pg_replica.explain(2)) as facts,
      (select value from pg_replica.explain('node1') where fact = 'goal') as goal`;
    const own = await servers.store.db.query(select);
    expect((await db.query(select)).rows).toEqual(own.rows);
    expect(own.rows[0]).toMatchObject({ leader: 1, leads: true, goal: "primary" });
    await db.query("commit");
  });

  test("no session can send it elsewhere", async () => {
    const db = await login(server(), "alice");
    await db.query("set pgreplica.control_socket = '/tmp'; set pgreplica.control_port = 1");
    await db.query("set search_path = pg_temp; set dblink.use = 'x'");
    const { rows } = await db.query("select count(*)::integer as n from pg_replica.status()");
    expect(rows).toEqual([{ n: 3 }]);
  });

  test("an error crosses whole: SQLSTATE, message, detail and hint", async () => {
    const db = await login(server(), "alice");
    const error = await errorOf(db.query("select pg_replica.failover('node9')"));
    expect(error).toMatchObject({
      code: "RF006",
      message: "no member is called node9",
      detail: "Members: 1 (node1), 2 (node2), 3 (node3).",
      hint: "Name a member by its name or its number; see pg_replica.members().",
    });
  });

  test("a failed request is an error here too", async () => {
    leading(
      becomes({ state: "failed", sqlstate: "RF010", reason: "paused", hint: "resume first" }),
    );
    const db = await login(server(), "alice");
    const error = await errorOf(db.query("select pg_replica.switchover(2)"));
    expect(error).toMatchObject({ code: "RF010", message: "paused", hint: "resume first" });
    expect(error.detail).toContain("asked for by alice");
  });

  test("pause and resume are forwarded under the caller's name", async () => {
    leading();
    const db = await login(server(), "alice");
    const { rows } = await db.query(
      "select pg_replica.pause('moving') as paused, pg_replica.resume() as resumed",
    );
    expect(rows).toEqual([{ paused: true, resumed: true }]);
    const events = await servers.store.db.query(
      "select event, detail->>'by' as by from pg_replica.events",
    );
    expect(events.rows).toContainEqual({ event: "paused", by: "alice" });
  });
});

test("a caller's temporary tables, types and functions change nothing", async () => {
  const db = await login(servers.primary, "alice");
  await db.query(`
    create function pg_temp.refuse(p_value anyelement) returns boolean language plpgsql
      as $$ begin raise exception 'ran as %', current_user; end $$;
    create temporary table pg_file_settings as
      select 'pgreplica.control_' || n as name, '/tmp' as setting, 1 as seqno, null::text as error
        from unnest(array['socket', 'port']) as n`);
  for (const type of ["text", "jsonb", "uuid", "timestamptz", "pg_lsn"]) {
    await db.query(
      `create domain pg_temp."${type}" as pg_catalog."${type}" check (pg_temp.refuse(value))`,
    );
  }
  const { rows } = await db.query("select count(*)::integer as n from pg_replica.status");
  expect(rows).toEqual([{ n: 3 }]);
  expect((await errorOf(db.query("select pg_replica.failover('x')"))).code).toBe("RF006");
});

test("anyone may create dblink for their own use, and finds no connection of ours", async () => {
  const owner = await login(servers.primary);
  await owner.query("create extension dblink");
  const db = await login(servers.primary, "alice");
  await db.query("set statement_timeout = '300ms'");
  expect((await errorOf(db.query("select pg_replica.pause('nobody leads')"))).code).toBe("57014");
  await db.query("set statement_timeout = 0");
  await errorOf(db.query("select pg_replica.failover('node9')"));
  const { rows } = await db.query(
    "select public.dblink_get_connections() as open from pg_replica.status",
  );
  expect(rows[0]).toEqual({ open: null });
});

interface Heard {
  readonly row: Record<string, unknown>;
  readonly notices: readonly string[];
  readonly tookMs: number;
}

async function ask(server: ScratchServer, call: string): Promise<Heard> {
  const db = await login(server, "alice");
  const notices: string[] = [];
  db.on("notice", ({ message, hint }) => notices.push(`${message}. ${hint}`));
  const started = monotonicClock.now();
  const { rows } = await db.query(`select * from pg_replica.${call}`);
  return { row: rows[0], notices, tookMs: monotonicClock.now() - started };
}

const argsOfNewest = async () =>
  (
    await servers.store.db.query(
      "select args from cluster.request order by request_id desc limit 1",
    )
  ).rows[0].args;

test.each(["failover()", "switchover(2)"])(
  "%s on the primary answers at once, and says where to watch",
  async (call) => {
    leading();
    const { row, notices } = await ask(servers.primary, call);
    expect(row).toMatchObject({ state: "running", requested_by: "alice", finished_at: null });
    expect(notices).toHaveLength(1);
    expect(notices[0]).toContain(URI);
    expect(notices[0]).toContain("select * from pg_replica.requests()");
    // The leader leaves the session that long to hear its answer.
    expect(await argsOfNewest()).toMatchObject({ delay_ms: 150 });
  },
);

test("on a standby a request for another member is waited for", async () => {
  leading(becomes({ state: "running" }), DONE);
  const { row, notices } = await ask(servers.standby, "failover('node2')");
  expect(row).toMatchObject({ state: "done", to_node: 2, epoch: "3", requested_by: "alice" });
  expect(notices).toEqual([]);
  expect(await argsOfNewest()).toMatchObject({ delay_ms: 0 });
});

// Sessions of a standby end when it is promoted; this one is node 1's.
test.each([
  ["it is named", "failover(1)", () => []],
  ["the leader chose it", "failover()", () => [becomes({ state: "running", to_node: 1 })]],
  [
    "the next epoch is being decided",
    "failover()",
    () => [
      (request_id: number): Entry => ({
        kind: "open_epoch",
        body: { epoch: 3, cause: "failover_request", reason: "asked for", request_id, at },
      }),
    ],
  ],
])(
  "on the standby that is to be promoted, as %s, the answer comes before",
  async (_, call, entries) => {
    leading(...entries());
    const { row, notices } = await ask(servers.standby, call);
    expect(row).toMatchObject({ state: "running" });
    expect(notices).toHaveLength(1);
  },
);

test("when the control store is gone the error says so", async () => {
  const lonely = await servers.scratch.start();
  const db = await lonely.connect();
  await install(db, "data");
  expect(await errorOf(db.query("select pg_replica.leader()"))).toMatchObject({
    code: "55000",
    message: "this server does not know its control store",
  });
  await writeSettings(
    lonely.server.dataDir,
    {
      "pgreplica.control_socket": servers.scratch.dir,
      "pgreplica.control_port": 5432,
      "pgreplica.control_uri": URI,
    },
    servers.scratch.owner,
  );
  const error = await errorOf(db.query("select * from pg_replica.status"));
  expect(error).toMatchObject({
    code: "08001",
    message: "the control store of this node does not answer",
  });
  expect(error.hint).toContain(URI);
});

test.each(["status()", "failover('node2')", "pause('frozen')"])(
  "a frozen control store holds nobody: %s",
  async (call) => {
    const { pid } = servers.store.server.server;
    const db = await login(servers.primary, "alice");
    process.kill(pid, "SIGSTOP");
    try {
      const started = monotonicClock.now();
      const error = await errorOf(db.query(`select pg_replica.${call}`));
      expect(error.code).toBe("08001");
      expect(monotonicClock.now() - started).toBeLessThan(5500);
    } finally {
      process.kill(pid, "SIGCONT");
    }
    await db.query("select pg_replica.leader()");
  },
);
