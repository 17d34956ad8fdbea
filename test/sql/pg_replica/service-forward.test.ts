/** The log as a service on a data server, primary and standby: forwarded to the node's own control store. */
import { describe, expect, test } from "vitest";
import { monotonicClock } from "../../../src/clock/clock.ts";
import { errorOf } from "../../support/sql.ts";
import { useDataServers } from "./data-servers.ts";

const servers = useDataServers("service-forward", "postgresql://10.0.0.1:7482/postgres");
const { login } = servers;

describe.each(["primary", "standby"] as const)("on the data server of a %s", (kind) => {
  const server = () => servers[kind];

  test("entries and keys are written and read as on the control store", async () => {
    servers.lead();
    const db = await login(server(), "alice");
    const { rows } = await db.query(`
      select pg_replica.replicate('one', 'first') as one, pg_replica.replicate(array['two', 'three']) as batch,
             pg_replica.replicate(array['{"n": 1.50}'::jsonb]) as documents, pg_replica.kv_put('k', 'v') as version,
             pg_replica.kv_delete('absent') as deleted`);
    const { rows: again } = await db.query("select pg_replica.replicate('uno', 'first') as one");
    expect(again[0].one).toBe(rows[0].one);
    expect(rows[0].deleted).toBe(false);
    const cas = "select * from pg_replica.kv_cas('k', $1, 'w')";
    const swapped = (await db.query(cas, [rows[0].version])).rows;
    expect(swapped).toMatchObject([{ swapped: true, value: "w" }]);
    expect((await db.query(cas, [rows[0].version])).rows).toEqual([
      { ...swapped[0], swapped: false },
    ]);
    for (const select of [
      "select * from pg_replica.entries()",
      "select * from pg_replica.entries(max_rows => 2)",
      "select pg_replica.kv_get('k'), pg_replica.kv_get('k', 'local') as local, pg_replica.kv_exists('j')",
      "select * from pg_replica.kv_get_entry('k')",
      "select * from pg_replica.kv_list('', null, 10, 'local')",
      "select * from pg_replica.kv_history('k')",
    ]) {
      const [own, there] = [await servers.store.db.query(select), await db.query(select)];
      expect(there.rows.length).toBeGreaterThan(0);
      expect(there.rows).toEqual(own.rows);
      expect(there.fields.map((f) => [f.name, f.dataTypeID])).toEqual(
        own.fields.map((f) => [f.name, f.dataTypeID]),
      );
    }
    expect((await db.query("select pg_replica.kv_compact() as done")).rows).toEqual([
      { done: true },
    ]);
  });

  test("an error crosses whole, and leaves the caller's own transaction to the caller", async () => {
    const db = await login(server(), "alice");
    const error = await errorOf(db.query("select pg_replica.kv_put('', 'x')"));
    expect(error).toMatchObject({ code: "22023", message: "key has 0 bytes" });
    expect(error.hint).toBeTruthy();
    if (kind === "primary") {
      await db.query("begin read only");
      const refused = await errorOf(db.query("select pg_replica.replicate('x')"));
      expect(refused.code).toBe("25006");
      await db.query("rollback");
    }
  });
});

test("a control store that stops answering leaves the outcome of a write unknown: RF003", async () => {
  const db = await login(servers.primary, "alice");
  // Nobody leads by hand: the proposal lies in the inbox.
  const asked = errorOf(db.query("select pg_replica.replicate('in doubt')"));
  const taken = async () => (await servers.store.db.query("select from raft.inbox")).rowCount === 1;
  while (!(await taken())) await monotonicClock.sleep(5);
  await servers.store.db.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where query like 'select node.call%'",
  );
  expect(await asked).toMatchObject({
    code: "RF003",
    message: "outcome unknown; the entry may still commit",
    detail: "terminating connection due to administrator command",
  });
  const refused = await errorOf(db.query("select pg_replica.kv_put('', 'x')"));
  expect(refused.code).toBe("22023");
});
