/** Whatever callers fill of a control store, its members and its own worker get in (H64). */
import type pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { nodePassword } from "../../src/config/secrets.ts";
import { connect } from "../../src/db/connect.ts";
import { ownControlStore } from "../../src/worker/control-store.ts";
import { until } from "../support/until.ts";
import { overTcp, type TestNode, testNode } from "./node.ts";

let node: TestNode;
const open: pg.Client[] = [];

beforeAll(async () => {
  node = await testNode();
  await node.create();
  await node.start();
}, 60_000);
beforeEach(async () => {
  await node.sql(
    `create role app login password 'app' in role pgreplica_admin;
     create role watcher login password 'watcher' in role pgreplica_monitor`,
  );
  // Which looks after the logins, as a running worker does each second.
  await node.start();
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((client) => client.end().catch(() => undefined)));
  await node.sql("drop role app, watcher");
});
afterAll(() => node.close());

/** One session more, by these ways in. */
const by = (login: () => Promise<pg.Client>) => async () => {
  const client = await login();
  client.on("error", () => undefined);
  open.push(client);
};
const app = by(() => overTcp(node.config, "app", "app"));
const watcher = by(() => overTcp(node.config, "watcher", "watcher"));
const worker = by(() => connect(ownControlStore(node.config, "test")));
const member = (id: number) =>
  by(() => overTcp(node.config, `pgreplica_node_${id}`, nodePassword(node.config, id)));
/** As the server itself opens them for callers. */
const through = (server: pg.Client, conninfo: string) => async () => {
  const name = crypto.randomUUID();
  await server.query(`select pgreplica.dblink_connect($1, ${conninfo})`, [name]);
};

/** As many as are let in, `most` at most. */
async function fill(more: () => Promise<void>, most = 300): Promise<number> {
  for (let count = 0; count < most; count += 1) {
    try {
      await more();
    } catch (error) {
      const { code, message, detail } = error as pg.DatabaseError;
      expect(`${code} ${message} ${detail}`).toMatch(
        /too many|remaining connection slots|too many clients/,
      );
      return count;
    }
  }
  return most;
}

test("all that callers can fill leaves each member its connections, and the worker its own", async () => {
  await worker();
  const server = open[0] as pg.Client;
  const callers =
    (await fill(app)) +
    (await fill(watcher)) +
    (await fill(through(server, "node.service_conninfo()"))) +
    (await fill(through(server, "pgreplica.own_conninfo('pgreplica_caller', 1000)")));
  expect(callers).toBeGreaterThan(100);
  expect([await fill(member(2)), await fill(member(3))]).toEqual([30, 30]);
  expect(await fill(worker, 10)).toBe(10);
}, 60_000);

test("what is done for callers in other sessions takes none of the worker's connections", async () => {
  await fill(app, 37);
  const callers = [...open];
  // Without a leader each waits for some seconds in a session that serves it.
  const asked = Promise.allSettled(callers.map((db) => db.query("select pg_replica.pause('x')")));
  let users: unknown[] = [];
  await until("all are served", { limitMs: 3000 }, async () => {
    const rows = await node.sql(
      "select usename from pg_stat_activity where application_name = 'pgreplica_sql'",
    );
    users = rows.map(({ usename }) => usename);
    return users.length >= 32;
  });
  expect(new Set(users)).toEqual(new Set(["pgreplica_caller"]));
  await asked;
});
