/** Programs that know nothing of us run as the examples say, on a cluster whose primary is killed beneath them. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { useCluster } from "../support/fixture.ts";
import { onPrimary, untilHealthy } from "../support/health.ts";
import { freePorts } from "../support/ports.ts";
import { exitOf, findProgram, PROJECT } from "../support/programs.ts";
import { rows, value } from "../support/sql.ts";
import { until } from "../support/until.ts";

const HBA = ["host postgres haproxy 127.0.0.1/32 trust", "host all all 127.0.0.1/32 scram-sha-256"];
const cluster = useCluster({ env: { PG_REPLICA_DATA_HBA: JSON.stringify(HBA) } });

let child: ChildProcess | undefined;
let output = "";

function start(program: string, args: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
  output = "";
  child = spawn(program, args, {
    cwd: PROJECT,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  return child;
}

const said = (text: string | RegExp, limitMs = 30_000) =>
  until(`it says ${text}`, { limitMs }, () => {
    if (child?.exitCode !== null) throw new Error(`it ended: ${output}`);
    return typeof text === "string" ? output.includes(text) : text.test(output);
  });

afterEach(async () => {
  if (child === undefined || child.exitCode !== null) return;
  child.kill("SIGTERM");
  await exitOf(child);
});

const example = (name: string) => join("examples", name);
const needs = (program: string) => findProgram(program) === undefined;

describe.skipIf(needs("psql"))("plain psql (skipped where it is not installed)", () => {
  test("writes every line once through a kill of the primary", async () => {
    const { primary } = await untilHealthy(cluster());
    start("sh", [example("psql.sh")], { DATABASE_URL: cluster().uri, COUNT: "60" });
    await said("line 15\n");
    cluster().killDataServer(primary);
    const ended = await exitOf(child as ChildProcess);
    expect(ended, output).toBe(0);
    const now = await untilHealthy(cluster());
    expect(now.primary).not.toBe(primary);
    const { uri } = cluster().node(now.primary).data;
    const lines = await rows<{ id: number; text: string }>(
      uri,
      "select * from psql_lines order by id",
    );
    expect(lines).toEqual(
      Array.from({ length: 60 }, (_, index) => ({ id: index + 1, text: `line ${index + 1}` })),
    );
  });
});

describe.skipIf(needs("pgbench"))("plain pgbench (skipped where it is not installed)", () => {
  test("goes on after a kill of the primary; its books balance", async () => {
    const { primary } = await untilHealthy(cluster());
    start("sh", [example("pgbench.sh")], { DATABASE_URL: cluster().uri, SECONDS_OF_LOAD: "12" });
    await until("it runs", { limitMs: 30_000 }, async () => {
      const counted = "select count(*) > 20 from pgbench_history";
      return (
        (await value(cluster().node(primary).data.uri, counted).catch(() => "not yet")) === "true"
      );
    });
    cluster().killDataServer(primary);
    await said("again");
    const ended = await exitOf(child as ChildProcess);
    expect([ended, output.includes("the load is over")], output).toEqual([0, true]);
    const now = await untilHealthy(cluster());
    const sums = await rows<Record<string, string>>(
      cluster().node(now.primary).data.uri,
      `select (select sum(abalance) from pgbench_accounts)::text as accounts,
              (select sum(tbalance) from pgbench_tellers)::text as tellers,
              (select sum(bbalance) from pgbench_branches)::text as branches,
              (select sum(delta) from pgbench_history)::text as history`,
    );
    expect(new Set(Object.values(sums[0] ?? {})).size).toBe(1);
  });
});

const haproxy = process.env.PGR_TEST_HAPROXY ?? findProgram("haproxy");

describe.skipIf(haproxy === undefined)("HAProxy (skipped where it is not installed)", () => {
  const ports = { writes: 0, reads: 0 };
  beforeAll(async () => {
    [ports.writes = 0, ports.reads = 0] = await freePorts(2);
    await untilHealthy(cluster());
    await onPrimary(cluster(), "create role haproxy login connection limit 10");
  });
  const through = (port: number) => {
    const uri = new URL(cluster().dataUris()[0] ?? "");
    uri.port = String(port);
    return uri.href;
  };
  const servedBy = async (port: number) => {
    const asked = "select inet_server_port()::text || ' ' || pg_is_in_recovery() as who";
    return await value(through(port), asked).catch(() => "nobody");
  };

  test("leads writes to the primary, reads to a standby, before and after a kill", async () => {
    const [db1, db2, db3] = cluster()
      .dataUris()
      .map((uri) => new URL(uri).host);
    const env = { DB1: db1, DB2: db2, DB3: db3 };
    const where = { WRITES: `127.0.0.1:${ports.writes}`, READS: `127.0.0.1:${ports.reads}` };
    start(haproxy ?? "haproxy", ["-f", example("haproxy.cfg"), "-db"], { ...env, ...where });
    const before = await untilHealthy(cluster());
    const portOf = (id: number) => cluster().node(id).data.port;
    await until("writes come to the primary", { limitMs: 15_000 }, async () => {
      return (await servedBy(ports.writes)) === `${portOf(before.primary)} false`;
    });
    await until("reads come to a standby", { limitMs: 15_000 }, async () => {
      const standbys = before.standbys.map((id) => `${portOf(id)} true`);
      return standbys.includes(await servedBy(ports.reads));
    });
    cluster().killDataServer(before.primary);
    const killed = performance.now();
    const writes = await until("it writes again", { limitMs: 30_000, everyMs: 20 }, async () => {
      const who = await servedBy(ports.writes);
      return who.endsWith(" false") && who !== `${portOf(before.primary)} false` && who;
    });
    console.log(
      `through HAProxy: writes ${(performance.now() - killed).toFixed(0)} ms after the kill`,
    );
    const now = await untilHealthy(cluster());
    expect(writes).toBe(`${portOf(now.primary)} false`);
    // The one that was killed is a standby now, and is never asked to write.
    for (let turn = 0; turn < 20; turn += 1) {
      expect(await servedBy(ports.writes)).toBe(`${portOf(now.primary)} false`);
    }
  });
});
