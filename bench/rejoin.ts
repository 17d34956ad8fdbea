/**
 * How fast a loser comes back: by pg_rewind, and by a copy compared with the raw pg_basebackup in the same run.
 *
 *   node bench/rejoin.ts [--n 5] [--megabytes 512] [--json FILE]
 *
 * Rewind: the primary holds rows nobody received, its whole node is killed; from the kill until it streams as a member.
 * Copy: a standby is promoted by hand, so that it must be copied; from the start of the copy to the swapped-in
 * directory, as its worker logs it. Raw: pg_basebackup with its WAL, forced to disk, from the same primary into the
 * same file system, right before. The figure is the ratio of each pair.
 */
import { chown, mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { readOptions } from "../scripts/options.ts";
import { loadConfig } from "../src/config/load.ts";
import { nodePassword } from "../src/config/secrets.ts";
import { nodeRole } from "../src/core/ids.ts";
import { type Cluster, logPaths, startCluster } from "../test/support/cluster.ts";
import { onPrimary, untilHealthy, untilNewPrimary } from "../test/support/health.ts";
import { mustRun, needProgram } from "../test/support/programs.ts";
import { cutStream, lastEvent, untilBack, writeOrphans } from "../test/support/rejoin.ts";
import { value } from "../test/support/sql.ts";
import { conditionsOf, describeConditions, positive, writeResult } from "./conditions.ts";
import { summarize } from "./stats.ts";

const LIMIT_MS = 600_000;

async function rewindOnce(cluster: Cluster): Promise<{ ms: number; way: string }> {
  const { primary: old, standbys } = await untilHealthy(cluster, LIMIT_MS);
  for (const standby of standbys) await cutStream(cluster, old, standby);
  await writeOrphans(cluster.node(old).data.uri, "orphan", 20_000);
  const after = await lastEvent(cluster);
  const { at } = cluster.killNode(old);
  await untilNewPrimary(cluster, old, 60_000);
  const events = await untilBack(cluster, old, { after, limitMs: LIMIT_MS });
  const way = events.map(({ event }) => event).find((name) => /^(rewound|cloned)$/.test(name));
  return { ms: performance.now() - at, way: way ?? "followed" };
}

/** Milliseconds of one raw copy. */
async function rawCopy(cluster: Cluster, primary: number): Promise<number> {
  const folder = dirname(cluster.node(primary).data.dir);
  const config = await loadConfig(join(folder, "node.yaml"), {});
  const { uid, gid } = await stat(cluster.node(primary).data.dir);
  const top = await mkdtemp(join(dirname(folder), "raw-"));
  await chown(top, uid, gid);
  const where = ["-h", "127.0.0.1", "-p", `${cluster.node(primary).data.port}`];
  const args = ["-D", join(top, "data"), "-c", "fast", "-X", "stream", ...where];
  const started = performance.now();
  try {
    const user = ["-U", nodeRole(config.node.id), "--no-password"];
    await mustRun(needProgram("pg_basebackup"), [...args, ...user], {
      uid,
      gid,
      limitMs: LIMIT_MS,
      env: { PGPASSWORD: nodePassword(config, config.node.id) },
    });
    return performance.now() - started;
  } finally {
    await rm(top, { recursive: true, force: true });
  }
}

/** Milliseconds from the start of the last copy to its end, as the worker logged them. */
async function loggedCopy(cluster: Cluster, id: number): Promise<number> {
  const file = join(dirname(cluster.node(id).data.dir), "log/worker.log");
  const lines = (await readFile(file, "utf8")).split("\n");
  const timeOf = (event: string) => {
    const line = lines.findLast((one) => one.includes(`"event":"${event}"`));
    return Number((JSON.parse(line ?? "{}") as { time?: unknown }).time);
  };
  return timeOf("agent.cloned") - timeOf("agent.cloning");
}

async function copyOnce(cluster: Cluster): Promise<{ raw: number; ours: number }> {
  const { primary, standbys } = await untilHealthy(cluster, LIMIT_MS);
  const [victim = 0] = standbys;
  const raw = await rawCopy(cluster, primary);
  const after = await lastEvent(cluster);
  await value(cluster.node(victim).data.uri, "select pg_promote(false)");
  await untilBack(cluster, victim, { after, limitMs: LIMIT_MS });
  return { raw, ours: await loggedCopy(cluster, victim) };
}

function line(what: string, samples: readonly number[], digits = 0): void {
  const { n, p50, max } = summarize(samples);
  console.log(`${what.padEnd(34)} n=${n}  p50=${p50.toFixed(digits)}  max=${max.toFixed(digits)}`);
}

async function fill(cluster: Cluster, megabytes: number): Promise<void> {
  await onPrimary(cluster, "create table orphan (n integer)");
  const load = `create table filling as
    select n, repeat(md5(n::text), 30) as pad from generate_series(1, ${megabytes * 1000}) n`;
  await onPrimary(cluster, load, [], LIMIT_MS);
  await onPrimary(cluster, "checkpoint", [], LIMIT_MS);
}

function options() {
  const { values } = readOptions({
    options: {
      n: { type: "string", default: "5" },
      megabytes: { type: "string", default: "512" },
      json: { type: "string" },
    },
  });
  const { json } = values;
  return {
    n: positive("--n", values.n),
    megabytes: positive("--megabytes", values.megabytes),
    json,
  };
}

async function main(): Promise<void> {
  const { n, megabytes, json } = options();
  const cluster = await startCluster();
  let kept: "keep" | "remove" = "keep";
  try {
    const { primary } = await untilHealthy(cluster);
    const conditions = await conditionsOf(cluster.node(primary).data.uri);
    console.log(`${describeConditions(conditions)}\n${megabytes} MB, n = ${n}, ${cluster.dir}`);
    await fill(cluster, megabytes);
    const rewinds = [];
    for (let round = 0; round < n; round += 1) rewinds.push(await rewindOnce(cluster));
    const copies = [];
    for (let round = 0; round < n; round += 1) copies.push(await copyOnce(cluster));
    console.log(`ways: ${rewinds.map(({ way }) => way).join(", ")}`);
    line(
      "rejoin from the kill on, ms",
      rewinds.map(({ ms }) => ms),
    );
    line(
      "raw pg_basebackup, ms",
      copies.map(({ raw }) => raw),
    );
    line(
      "our copy, ms",
      copies.map(({ ours }) => ours),
    );
    line(
      "ratio of each pair",
      copies.map(({ raw, ours }) => ours / raw),
      2,
    );
    const result = { conditions, megabytes, rewinds, copies };
    console.log(`written to ${await writeResult("rejoin", result, json)}`);
    await cluster.stop();
    kept = "remove";
  } finally {
    if (kept === "keep") console.error(`logs are kept:\n  ${logPaths(cluster).join("\n  ")}`);
    await cluster.discard(kept);
  }
}

await main();
