/**
 * Random faults on a real cluster under load:
 *
 *   npm run chaos -- --minutes N --seed S [--nodes 3|5] [--network namespaces|proxy] [--faults F06,F13] [--without F18]
 *                    [--each | --hold] [--writers N] [--json FILE] [--keep]
 *
 * As root every node is a host of its own, in a network namespace; otherwise links go through a proxy. It says what the
 * host cannot do. Exit 1: a promise was broken. Exit 2: the run proves nothing. `--each` injects each fault once,
 * `--hold` all at once for the whole time; `--writers` adds clients of W2 that write as fast as they can.
 */
import { writeFile } from "node:fs/promises";
import { monotonicClock } from "../src/clock/clock.ts";
import { openBed } from "../test/support/bed/bed.ts";
import { probeHost } from "../test/support/bed/capabilities.ts";
import type { Network } from "../test/support/bed/links.ts";
import { describeReport } from "../test/support/chaos/report.ts";
import { runChaos } from "../test/support/chaos/run.ts";
import { removeOrphanSegments } from "../test/support/shared-memory.ts";
import { readOptions } from "./options.ts";

const started = monotonicClock.now();

function say(line: string): void {
  const seconds = ((monotonicClock.now() - started) / 1000).toFixed(1);
  console.log(`${seconds.padStart(8)} s  ${line}`);
}

function options() {
  const { values } = readOptions({
    options: {
      minutes: { type: "string", default: "5" },
      seed: { type: "string", default: "1" },
      nodes: { type: "string", default: "3" },
      writers: { type: "string", default: "0" },
      network: { type: "string" },
      faults: { type: "string" },
      without: { type: "string" },
      json: { type: "string" },
      each: { type: "boolean", default: false },
      hold: { type: "boolean", default: false },
      keep: { type: "boolean", default: false },
    },
  });
  const number = (name: "minutes" | "seed" | "nodes" | "writers") => {
    const value = Number(values[name]);
    if (Number.isFinite(value) && (value > 0 || name === "writers")) return value;
    throw new Error(`--${name}: ${values[name]}: expected a number above 0`);
  };
  if (values.each && values.hold) throw new Error("--each, --hold: expected one of them");
  const { network } = values;
  if (network !== undefined && network !== "namespaces" && network !== "proxy") {
    throw new Error(`--network: ${network}: expected namespaces or proxy`);
  }
  const kind: Network["kind"] | undefined = network;
  return {
    ...values,
    network: kind,
    minutes: number("minutes"),
    seed: number("seed"),
    nodes: number("nodes"),
    writers: number("writers"),
    only: values.faults?.split(","),
    without: values.without?.split(","),
  };
}

async function main(): Promise<number> {
  const { minutes, seed, nodes, writers, network, only, without, json, keep, ...how } = options();
  say((await probeHost()).describe());
  const bed = await openBed({ nodes, seed, ...(network === undefined ? {} : { network }) });
  let files: "keep" | "remove" = "keep";
  try {
    say(`${nodes} nodes in a network of ${bed.network.kind}, ${bed.top}`);
    const report = await runChaos({
      bed,
      seed,
      minutes,
      writers,
      each: how.each,
      hold: how.hold,
      say,
      ...(only === undefined ? {} : { only }),
      ...(without === undefined ? {} : { without }),
    });
    console.log(describeReport(report));
    const text = JSON.stringify(
      report,
      (_, value) => (typeof value === "bigint" ? `${value}` : value),
      2,
    );
    if (json !== undefined) await writeFile(json, `${text}\n`);
    const good = report.failures.length === 0;
    files = good && !keep ? "remove" : "keep";
    if (!good) return 1;
    return report.invalid.length === 0 ? 0 : 2;
  } finally {
    if (files === "keep") console.error(`logs are kept:\n  ${bed.logs().join("\n  ")}`);
    await bed.close(files);
    await removeOrphanSegments(new Date(Date.now() - monotonicClock.now()));
  }
}

process.exitCode = await main();
