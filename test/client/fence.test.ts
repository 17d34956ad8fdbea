/** Two servers that both take writes: from the sign on no statement reaches the old one, though sessions were open. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { createPool } from "../../src/client/index.ts";
import { logOf } from "../replication/lab.ts";
import { until } from "../support/until.ts";
import { openProxy } from "./proxy.ts";
import { openServers, type Servers } from "./servers.ts";

let servers: Servers;
beforeAll(async () => {
  servers = await openServers(1, { log_statement: "all" });
  await servers.all[0]?.sql("create table t (id int primary key)");
  await servers.caughtUp();
});
afterAll(() => servers?.close());

test("no statement reaches the old primary after the new one was told; its sessions are closed", async () => {
  const [first] = servers.all;
  if (first === undefined) throw new Error("no server");
  const pool = createPool({ ...servers.options, applicationName: "fenced", poolSize: 8 });
  const proxy = await openProxy(first);
  const hosts = [`127.0.0.1:${proxy.port}`, servers.name(1)];
  const late = createPool({ ...servers.options, hosts, connectTimeoutMs: 30_000 });
  try {
    await late.ready();
    const letGo = proxy.hold();
    const dialled = late.query("insert into t values (-1)");
    await until("the old one is dialled", { limitMs: 5000, everyMs: 1 }, () => proxy.held === 1);
    let [ids, stopping] = [0, false];
    const sent: { id: number; at: number }[] = [];
    const write = async () => {
      while (!stopping) {
        ids += 1;
        sent.push({ id: ids, at: performance.now() });
        await pool.query("insert into t values ($1::int)", [ids]).catch((error: unknown) => {
          expect(error).toMatchObject({ code: "IN_DOUBT" });
        });
      }
    };
    let told = Number.POSITIVE_INFINITY;
    pool.onPrimary(({ node }) => {
      if (node === servers.name(1)) told = performance.now();
    });
    const writing = Promise.all(Array.from({ length: 8 }, write));
    await until("all sessions are in use", { limitMs: 5000 }, () => pool.status().size >= 8);
    await servers.promote(1); // and the old one knows nothing of it
    await until("it is told", { limitMs: 5000, everyMs: 1 }, () => told < performance.now());
    const from = ids;
    await until("writes go on", { limitMs: 5000 }, () => ids > from + 200);
    stopping = true;
    await writing;
    const [old] = servers.all;
    const reached = [...(old ? await logOf(old) : "").matchAll(/parameters: \$1 = '(\d+)'/gi)];
    const after = new Set(sent.filter(({ at }) => at > told).map(({ id }) => id));
    expect(reached.length).toBeGreaterThan(0);
    expect(after.size).toBeGreaterThan(200);
    expect(reached.map(([, id]) => Number(id)).filter((id) => after.has(id))).toEqual([]);
    // A connection that was being dialled meanwhile is not used either.
    const moved = () => late.topology().some((n) => n.writable && n.node === servers.name(1));
    await until("the other pool follows", { limitMs: 5000 }, moved);
    letGo();
    await dialled;
    expect(await servers.all[1]?.value("select id from t where id = -1")).toBe("-1");
    // One asks how it is; the eight are gone.
    await until("its sessions are closed", { limitMs: 5000 }, async () => {
      const open = "select count(*) from pg_stat_activity where application_name = 'fenced'";
      return Number(await old?.value(open)) <= 1;
    });
  } finally {
    await pool.end();
    await late.end();
    await proxy.close();
  }
});
