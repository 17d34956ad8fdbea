/**
 * How long a client cannot write: n faults of each kind on one cluster, a client writing as fast as it can, the
 * gap from the fault to the next acknowledged write, and every acknowledged row looked for at the end.
 *
 *   npm run bench -- --n 100 --faults postmaster,node,freeze,switchover [--nodes 3] [--json FILE] [--tls]
 *     [--env KEY=VALUE]
 *
 * `--keep` leaves the cluster's folder with its logs where it was.
 */
import { readOptions } from "../scripts/options.ts";
import { monotonicClock } from "../src/clock/clock.ts";
import { type Cluster, logPaths, startCluster } from "../test/support/cluster.ts";
import { untilHealthy } from "../test/support/health.ts";
import { nextWriter } from "../test/support/round.ts";
import { rows } from "../test/support/sql.ts";
import { createWriterTable, startWriter, type Writer } from "../test/support/writer.ts";
import { conditionsOf, describeConditions, positive, writeResult } from "./conditions.ts";
import { histogram, type Summary, summarize } from "./stats.ts";
import { describeSteps, type Steps, stepsBetween } from "./steps.ts";

const FAULTS = ["postmaster", "node", "freeze", "switchover"] as const;
type Fault = (typeof FAULTS)[number];

/** What each gap means, and what is to be reached (milliseconds). */
const MEANING: Readonly<Record<Fault, { what: string; p50: number; p99: number }>> = {
  postmaster: { what: "kill -9 of the primary's postmaster", p50: 300, p99: 1000 },
  node: { what: "kill -9 of the primary's whole node", p50: 300, p99: 1000 },
  freeze: { what: "SIGSTOP of the primary's whole node", p50: 1600, p99: 3000 },
  switchover: { what: "switchover asked on a standby", p50: 300, p99: 1000 },
};

/** How long the client waits for a host to let it in, milliseconds: a frozen one takes connections and says nothing. */
const CONNECT_MS = 100;

interface Sample {
  readonly gapMs: number;
  readonly leaderWasPrimary: boolean;
  /** When each step was logged, milliseconds after the fault. */
  readonly steps: Steps;
  readonly acknowledged: number;
  readonly unknown: number;
  readonly lost: number;
  readonly invented: number;
  /** From the fault to full health again, the fault's healing included. */
  readonly healthyAfterMs: number;
}

interface FaultResult extends Summary {
  readonly fault: Fault;
  readonly lost: number;
  readonly invented: number;
  readonly acknowledged: number;
  readonly unknown: number;
  readonly samples: readonly Sample[];
}

interface Injected {
  readonly gapMs: number;
  /** Monotonic time of the first signal; of a switchover, of the last write before the gap. */
  readonly from: number;
  readonly heal: () => void;
}

/** Inject the fault; gives the gap and what undoes it. */
async function inject(cluster: Cluster, fault: Fault, writer: Writer): Promise<Injected> {
  const { primary, standbys } = await untilHealthy(cluster);
  const none = () => undefined;
  if (fault === "switchover") {
    const since = monotonicClock.now();
    const { uri } = cluster.node(standbys[0] ?? 0).control;
    const [row] = await rows(uri, "select * from pg_replica.switchover()", [], {
      answerMs: 40_000,
    });
    if (row?.state !== "done") throw new Error(`switchover: ${JSON.stringify(row)}`);
    await writer.nextAckOverNewConnection(since, 20_000);
    const gap = writer.gapSince(since);
    return { gapMs: gap.ms, from: gap.from, heal: none };
  }
  const injection =
    fault === "postmaster"
      ? cluster.killPostmaster(primary)
      : fault === "node"
        ? cluster.killNode(primary)
        : await cluster.freezeNode(primary);
  const ack = await writer.nextAckOverNewConnection(injection.at, 60_000);
  const heal = fault === "freeze" ? () => cluster.thaw(injection) : none;
  return { gapMs: ack.at - injection.at, from: injection.at, heal };
}

/**
 * A node that silence has cost the role is held down for a while, longer if it happens again within twice that time
 * (H47): each freeze shall be a first one, as it is in a cluster that does not lose its nodes one after the other.
 */
const FIRST_AGAIN_MS = 65_000;
/** Nor does a leader that stays in office replace two within five seconds, whoever they are. */
const ANOTHER_MS = 7000;

async function restAfterFreeze(cluster: Cluster, frozenAt: Map<number, number>): Promise<void> {
  const { primary } = await untilHealthy(cluster);
  const lately = Math.max(...frozenAt.values(), -ANOTHER_MS) + ANOTHER_MS;
  const again = (frozenAt.get(primary) ?? -FIRST_AGAIN_MS) + FIRST_AGAIN_MS;
  const restMs = Math.max(lately, again) - monotonicClock.now();
  if (restMs > 0) {
    const seconds = (restMs / 1000).toFixed(0);
    console.log(`           resting ${seconds} s: a node was frozen a moment ago`);
    await monotonicClock.sleep(restMs);
  }
  frozenAt.set(primary, monotonicClock.now());
}

async function sample(cluster: Cluster, fault: Fault): Promise<Sample> {
  const before = await untilHealthy(cluster);
  const hosts = cluster.dataUris();
  const writer = startWriter({ hosts, writer: nextWriter(), connectMs: CONNECT_MS });
  try {
    await writer.untilAcknowledged(200, 20_000);
    const since = monotonicClock.now();
    const { gapMs, from, heal } = await inject(cluster, fault, writer);
    const wall = performance.timeOrigin + from;
    await writer.untilAcknowledged(200, 20_000);
    heal();
    const after = await untilHealthy(cluster, 120_000);
    const healthyAfterMs = monotonicClock.now() - since;
    await writer.stop();
    const checked = await writer.check(cluster.node(after.primary).data.uri);
    const { acknowledged, unknown } = checked;
    return {
      gapMs,
      steps: await stepsBetween(cluster, wall, wall + gapMs),
      leaderWasPrimary: before.leader === before.primary,
      acknowledged,
      unknown,
      lost: checked.lost.length,
      invented: checked.invented.length,
      healthyAfterMs,
    };
  } finally {
    await writer.stop();
  }
}

async function measure(cluster: Cluster, fault: Fault, n: number): Promise<FaultResult> {
  console.log(`\n${fault}: ${MEANING[fault].what}`);
  const samples: Sample[] = [];
  const frozenAt = new Map<number, number>();
  for (let round = 1; round <= n; round++) {
    if (fault === "freeze") await restAfterFreeze(cluster, frozenAt);
    const one = await sample(cluster, fault);
    samples.push(one);
    const gap = `${one.gapMs.toFixed(0).padStart(6)} ms`;
    const back = `healthy after ${(one.healthyAfterMs / 1000).toFixed(1)} s`;
    const where = one.leaderWasPrimary ? "" : ", leader elsewhere";
    const lost = one.lost + one.invented > 0 ? `, LOST ${one.lost}, INVENTED ${one.invented}` : "";
    const wrote = `${one.acknowledged} acknowledged, ${one.unknown} unknown`;
    console.log(`  ${`${round}/${n}`.padStart(8)} ${gap}  ${wrote}, ${back}${where}${lost}`);
  }
  const total = (key: "lost" | "invented" | "acknowledged" | "unknown") =>
    samples.reduce((sum, one) => sum + one[key], 0);
  return {
    fault,
    ...summarize(samples.map(({ gapMs }) => gapMs)),
    lost: total("lost"),
    invented: total("invented"),
    acknowledged: total("acknowledged"),
    unknown: total("unknown"),
    samples,
  };
}

function report(results: readonly FaultResult[]): void {
  console.log("\nmilliseconds from the fault to the next acknowledged write");
  console.log("fault          n    min    p50    p99    max   lost   acknowledged   goal p50/p99");
  for (const { fault, n, min, p50, p99, max, lost, acknowledged } of results) {
    const numbers = [min, p50, p99, max].map((ms) => ms.toFixed(0).padStart(6)).join(" ");
    const goal = `${MEANING[fault].p50}/${MEANING[fault].p99}`;
    const head = `${fault.padEnd(11)} ${`${n}`.padStart(4)} ${numbers}`;
    console.log(`${head} ${`${lost}`.padStart(6)} ${`${acknowledged}`.padStart(14)}   ${goal}`);
  }
  for (const { fault, samples, n } of results) {
    console.log(`\n${fault}${n < 100 ? ` (n = ${n}: the p99 is the maximum, claim none)` : ""}`);
    console.log(histogram(samples.map(({ gapMs }) => gapMs)).join("\n"));
    console.log("steps, medians after the fault, as logged:");
    console.log(describeSteps(samples.map(({ steps }) => steps)).join("\n"));
  }
}

function options() {
  const { values } = readOptions({
    options: {
      n: { type: "string", default: "20" },
      faults: { type: "string", default: FAULTS.join(",") },
      nodes: { type: "string", default: "3" },
      json: { type: "string" },
      keep: { type: "boolean", default: false },
      tls: { type: "boolean", default: false },
      env: { type: "string", multiple: true, default: [] },
    },
  });
  const faults = values.faults.split(",").map((name) => {
    const fault = FAULTS.find((known) => known === name);
    if (fault === undefined) throw new Error(`--faults: ${name}: expected some of ${FAULTS}`);
    return fault;
  });
  const env = Object.fromEntries(
    values.env.map((pair) => [pair.split("=")[0] ?? "", pair.slice(pair.indexOf("=") + 1)]),
  );
  const n = positive("--n", values.n);
  const { json, keep, tls } = values;
  return { n, nodes: positive("--nodes", values.nodes), faults, json, keep, tls, env };
}

async function main(): Promise<number> {
  const { n, nodes, faults, json, keep, tls, env } = options();
  const cluster = await startCluster({ nodes, tls, env });
  let kept: "keep" | "remove" = "keep";
  try {
    const { primary } = await untilHealthy(cluster);
    const { uri } = cluster.node(primary).data;
    const conditions = await conditionsOf(uri);
    console.log(
      `${describeConditions(conditions)}\n${nodes} nodes${tls ? " in TLS" : ""}, n = ${n}, ${cluster.dir}`,
    );
    await createWriterTable(uri);
    const results: FaultResult[] = [];
    for (const fault of faults) results.push(await measure(cluster, fault, n));
    report(results);
    const path = await writeResult("failover", { conditions, nodes, results }, json);
    console.log(`\nwritten to ${path}`);
    const wrong = results.filter(({ lost, invented }) => lost + invented > 0);
    if (wrong.length > 0) console.error("ACKNOWLEDGED ROWS WERE LOST, or rows came from nowhere");
    await cluster.stop();
    kept = keep || wrong.length > 0 ? "keep" : "remove";
    return wrong.length > 0 ? 1 : 0;
  } finally {
    if (kept === "keep") console.error(`logs are kept:\n  ${logPaths(cluster).join("\n  ")}`);
    await cluster.discard(kept);
  }
}

process.exitCode = await main();
