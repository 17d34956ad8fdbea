/** The commit rule against everybody who would change it: operators by mistake, impostors, and time. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { nodePassword } from "../../src/config/secrets.ts";
import { standbyName } from "../../src/core/ids.ts";
import { expectWithin, useCluster } from "../support/fixture.ts";
import { onPrimary, untilHealthy } from "../support/health.ts";
import { exitOf, findProgram } from "../support/programs.ts";
import { skip } from "../support/skip.ts";
import { open, rows, value } from "../support/sql.ts";
import { until } from "../support/until.ts";

const cluster = useCluster();
const children: ChildProcess[] = [];
let folder: string | undefined;

afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill("SIGKILL");
    await exitOf(child);
  }
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  folder = undefined;
});

const eventsNamed = (event: string) =>
  rows<{ reason: string; node_id: number; event_id: string }>(
    cluster().node(1).control.uri,
    "select * from pg_replica.events(0, 100000) where event = $1 order by event_id",
    [event],
  );

const shown = async (uri: string, name: string) => {
  // A session of its own: what it shows is what the server holds.
  const client = await open(uri);
  try {
    return String((await client.query(`select current_setting('${name}') as shown`)).rows[0].shown);
  } finally {
    await client.end();
  }
};

test.each([
  ["synchronous_standby_names", "''"],
  ["synchronous_commit", "local"],
] as const)(
  "%s set aside by ALTER SYSTEM is set back within a second, and told (F39)",
  async (name, bad) => {
    const { primary } = await untilHealthy(cluster());
    const { uri } = cluster().node(primary).data;
    const right = await shown(uri, name);
    const before = (await eventsNamed("setting_restored")).length;
    await onPrimary(cluster(), `alter system set ${name} = ${bad}`);
    await onPrimary(cluster(), "select pg_reload_conf()");
    const since = performance.now();
    await until("the setting is back", { limitMs: 10_000, everyMs: 20 }, async () => {
      const { setting } = (
        await rows<{ setting: string }>(
          uri,
          `select coalesce((select setting from pg_file_settings
                           where name = $1 and applied order by seqno desc limit 1), '') as setting`,
          [name],
        )
      )[0] ?? { setting: "" };
      return setting === right && (await shown(uri, name)) === right;
    });
    const took = performance.now() - since;
    expectWithin(`${name} is back`, took, 2000);
    const told = await until("an event tells of it", { limitMs: 5000 }, async () => {
      const all = await eventsNamed("setting_restored");
      return all.length > before && all.at(-1);
    });
    expect(told).toMatchObject({ node_id: primary, reason: expect.stringContaining(name) });
    expect((await untilHealthy(cluster())).primary).toBe(primary);
  },
);

async function impostor(primary: number, asNode: number, name: string): Promise<ChildProcess> {
  const config = await loadConfig(join(cluster().dir, `node${asNode}`, "node.yaml"), {});
  folder ??= await mkdtemp(join(tmpdir(), "pgr-impostor-"));
  const { port } = cluster().node(primary).data;
  const dsn = `host=127.0.0.1 port=${port} user=pgreplica_node_${asNode} application_name=${name}`;
  const program = findProgram("pg_receivewal") ?? "";
  const child = spawn(program, ["-D", folder, "--synchronous", "--no-loop", "-d", dsn], {
    env: { ...process.env, PGPASSWORD: nodePassword(config, asNode) },
    stdio: ["ignore", "ignore", "pipe"],
  });
  children.push(child);
  return child;
}

test("pg_receivewal under the name of a standby is thrown out (F40)", async (context) => {
  if (findProgram("pg_receivewal") === undefined) return skip(context, "there is no pg_receivewal");
  const { primary, standbys } = await untilHealthy(cluster());
  const [victim = 0, other = 0] = standbys;
  const { incarnation } = JSON.parse(
    await readFile(join(cluster().dir, `node${victim}`, "identity.json"), "utf8"),
  );
  const name = standbyName(victim, incarnation);
  const cases: [number, string][] = [
    [other, name],
    [victim, name],
    [victim, name.toUpperCase()],
  ];
  for (const [login, used] of cases) {
    const before = (await eventsNamed("standby_evicted")).length;
    const child = await impostor(primary, login, used);
    const since = performance.now();
    await until("it was thrown out", { limitMs: 8000, everyMs: 10 }, async () => {
      return child.exitCode !== null || (await eventsNamed("standby_evicted")).length > before;
    });
    console.log(`${used} as node ${login}: out after ${(performance.now() - since).toFixed(0)} ms`);
    await until("the event is there", { limitMs: 5000 }, async () => {
      return (await eventsNamed("standby_evicted")).length > before;
    });
    child.kill("SIGKILL");
  }
  // The gate closed, and opened again once true members held everything.
  const after = await untilHealthy(cluster());
  expect(after.primary).toBe(primary);
  await onPrimary(cluster(), "create table if not exists still_here (n integer)");
});

test("an impostor without a member's password is refused by pg_hba.conf (F40)", async (context) => {
  if (findProgram("pg_receivewal") === undefined) return skip(context, "there is no pg_receivewal");
  const { primary } = await untilHealthy(cluster());
  const uri = new URL(cluster().node(primary).data.uri);
  folder ??= await mkdtemp(join(tmpdir(), "pgr-impostor-"));
  const dsn = `host=127.0.0.1 port=${uri.port} user=postgres`;
  const child = spawn(findProgram("pg_receivewal") ?? "", ["-D", folder, "--no-loop", "-d", dsn], {
    env: { ...process.env, PGPASSWORD: decodeURIComponent(uri.password) },
    stdio: ["ignore", "ignore", "pipe"],
  });
  children.push(child);
  let said = "";
  child.stderr?.on("data", (data) => {
    said += String(data);
  });
  expect(await exitOf(child)).not.toBe(0);
  expect(said).toMatch(/no pg_hba.conf entry/);
});

test("what commits wait for is what the log says, after everything above", async () => {
  const { primary } = await untilHealthy(cluster());
  const { data, control } = cluster().node(primary);
  const rule = await value(control.uri, "select commit_rule from pg_replica.cluster()");
  expect(await shown(data.uri, "synchronous_standby_names")).toBe(rule);
  expect(rule).toMatch(/^ANY 1 \(/);
});
