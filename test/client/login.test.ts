import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createPool, type Pool, type PoolOptions } from "../../src/client/index.ts";
import { type Lab, type LabServer, openLab, serveTls } from "../replication/lab.ts";
import { findProgram } from "../support/programs.ts";
import { errorOf } from "../support/sql.ts";

const HBA = [
  "local all all trust",
  "hostssl all over_tls 127.0.0.1/32 scram-sha-256",
  "host all scram 127.0.0.1/32 scram-sha-256",
  "host all md5 127.0.0.1/32 md5",
  "host all rotating,few 127.0.0.1/32 scram-sha-256",
  "host all plain 127.0.0.1/32 password",
  "",
].join("\n");

let lab: Lab;
let server: LabServer;
let pools: Pool[] = [];
let ca = "";
const hasOpenssl = findProgram("openssl") !== undefined;
const open = (user: string, more: Partial<PoolOptions> = {}) => {
  const hosts = [`${server.host}:${server.port}`];
  const base = { hosts, user, database: "postgres", password: "secret", acquireTimeoutMs: 5000 };
  const pool = createPool({ ...base, pingIntervalMs: 200, ...more });
  pools.push(pool);
  return pool;
};

beforeAll(async () => {
  lab = await openLab(undefined);
  server = await lab.primary("login", {}, HBA);
  await server.sql("set password_encryption = 'md5'; create role md5 login password 'secret'");
  for (const role of ["over_tls", "scram", "plain"]) {
    await server.sql(`create role ${role} login password 'secret'`);
  }
  if (!hasOpenssl) return;
  ca = await serveTls(lab, server);
});
afterEach(async () => {
  await Promise.all(pools.map((pool) => pool.end({ timeoutMs: 200 })));
  pools = [];
});
afterAll(() => lab?.close());

const SSL = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";

test.each(["scram", "md5", "plain"])("%s, in plain text", async (user) => {
  expect(await open(user, { tls: { mode: "disable" } }).query(SSL)).toEqual([{ ssl: false }]);
});

test.runIf(hasOpenssl)(
  "TLS: encrypted where it is offered, demanded, or checked by name",
  async () => {
    for (const tls of [
      { mode: "prefer" },
      { mode: "require" },
      { mode: "verify-full", ca },
    ] as const) {
      expect(await open("over_tls", { tls }).query(SSL)).toEqual([{ ssl: true }]);
    }
  },
);

test.runIf(hasOpenssl)(
  "a certificate nobody signed is refused at once, when it is to be checked",
  async () => {
    const error = await errorOf(
      open("over_tls", { tls: { mode: "verify-full" } }).query("select 1"),
    );
    expect(String(error.cause ?? error)).toMatch(/self-signed/);
  },
);

test.runIf(hasOpenssl)(
  "a cancel request goes the same way; restarts of the server do no harm",
  async () => {
    const pool = open("over_tls", { tls: { mode: "verify-full", ca }, poolSize: 1 });
    const slow = pool.query("select pg_sleep(20)", [], { timeoutMs: 100 });
    await expect(slow).rejects.toMatchObject({ code: "TIMEOUT" });
    for (let round = 0; round < 5; round += 1) {
      expect(await pool.query("select $1::int as v", [round])).toEqual([{ v: round }]);
      await server.process.stop("fast", 10_000);
      const restarted = await lab.start(
        server.dir,
        { port: server.port, hba_file: `${server.dir}.hba` },
        HBA,
      );
      server = restarted;
    }
    expect(await pool.query(SSL)).toEqual([{ ssl: true }]);
  },
);

test("a wrong password is said at once; a new one is asked for at the next connect", async () => {
  const since = performance.now();
  const wrong = open("scram", { password: "wrong", acquireTimeoutMs: 20_000 });
  const error = await errorOf(wrong.query("select 1"));
  expect(error).toMatchObject({ code: "28P01" });
  expect(JSON.stringify(error) + String(error)).not.toContain("wrong");
  expect(performance.now() - since).toBeLessThan(5000);
  let asked = 0;
  const rotated = open("scram", {
    password: async () => {
      asked += 1;
      return "secret";
    },
  });
  expect(await rotated.query("select 1 as v")).toEqual([{ v: 1 }]);
  expect(asked).toBeGreaterThanOrEqual(2); // the one that pings, and the one that works
});

test("a password that was changed meanwhile is asked for again, once; refused twice it is said at once", async () => {
  await server.sql("create role rotating login password 'secret'");
  const answers = ["secret", "secret"];
  const pool = open("rotating", {
    password: async () => answers.shift() ?? "old",
    acquireTimeoutMs: 20_000,
    tls: { mode: "disable" },
  });
  const held = await pool.begin(); // beside the one that pings
  await server.sql("alter role rotating password 'changed'");
  answers.push("old", "changed");
  expect(await pool.query("select 1 as v")).toEqual([{ v: 1 }]);
  const other = await pool.begin();
  const since = performance.now();
  expect(await errorOf(pool.query("select 1"))).toMatchObject({ code: "28P01" });
  expect(performance.now() - since).toBeLessThan(10_000);
  await held.rollback();
  await other.rollback();
  expect(pool.status()).toMatchObject({ size: 2, inUse: 0 });
});

test("no room for another one: those that are there stay, and the error says why", async () => {
  await server.sql("create role few login password 'secret' connection limit 3");
  const pool = open("few", { acquireTimeoutMs: 500, poolSize: 5, tls: { mode: "disable" } });
  const both = await Promise.all([pool.begin(), pool.begin()]);
  const error = await errorOf(pool.query("select 1"));
  expect(error).toMatchObject({
    code: "NO_PRIMARY",
    detail: expect.stringContaining("too many connections"),
    cause: { code: "53300" },
  });
  const pids = await Promise.all(both.map((tx) => tx.query("select pg_backend_pid() as pid")));
  for (const tx of both) await tx.rollback();
  expect(pool.status()).toMatchObject({ size: 2, available: 2 });
  const pid = await pool.query("select pg_backend_pid() as pid");
  expect(pids).toContainEqual(pid);
});
