/**
 * Where the time of a failover went: the steps as the workers' logs tell them, between a fault and the next
 * acknowledged write.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Cluster } from "../test/support/cluster.ts";
import { median } from "./stats.ts";

/** In order; each is the first (or last) line of its kind after the fault, on whichever node. */
const STEPS = [
  { name: "noticed", match: /"event":"(raft\.peer_lost|data\.gone)"/, take: "first" },
  { name: "leader", match: /"event":"raft\.leader"/, take: "first" },
  { name: "epoch opened", match: /"act":"open_(epoch|after_hand_over)"/, take: "first" },
  { name: "reported", match: /"event":"agent\.reported"/, take: "last" },
  { name: "appointed", match: /"act":"appoint"/, take: "first" },
  { name: "promoted", match: /"event":"agent\.promoted"/, take: "first" },
  { name: "gate open", match: /"event":"agent\.gate_opened"/, take: "first" },
] as const;

export type Steps = Readonly<Record<string, number>>;

interface Line {
  /** Milliseconds of the wall clock, which all workers of one machine share. */
  readonly at: number;
  readonly text: string;
}

async function linesOf(cluster: Cluster): Promise<Line[]> {
  const files = cluster.nodes.map(({ id }) => join(cluster.dir, `node${id}/log/worker.log`));
  const texts = await Promise.all(files.map((file) => readFile(file, "utf8").catch(() => "")));
  return texts
    .flatMap((text) => text.split("\n"))
    .map((text) => ({ at: Number(/"time":(\d+)/.exec(text)?.[1]), text }))
    .filter(({ at }) => at > 0)
    .toSorted((a, b) => a.at - b.at);
}

/**
 * Milliseconds after the fault at which each step was logged; steps that did not happen (an election, when the leader
 * lives) are left out. Times are of the wall clock, milliseconds since 1970.
 */
export async function stepsBetween(cluster: Cluster, from: number, to: number): Promise<Steps> {
  const lines = (await linesOf(cluster)).filter(({ at }) => at >= from - 1 && at <= to + 1);
  const appointed = lines.find(({ text }) => STEPS[4].match.test(text))?.at ?? to;
  const steps: Record<string, number> = {};
  for (const { name, match, take } of STEPS) {
    const fit = lines.filter(
      ({ at, text }) => match.test(text) && (take === "first" || at <= appointed),
    );
    const line = take === "first" ? fit[0] : fit.at(-1);
    if (line !== undefined) steps[name] = line.at - from;
  }
  return { ...steps, "client wrote": to - from };
}

/** Medians of when each step was reached, with the time since the one before; one line per step. */
export function describeSteps(samples: readonly Steps[]): string[] {
  const names = [...STEPS.map(({ name }) => name), "client wrote"];
  let before = 0;
  return names.flatMap((name) => {
    const reached = samples.map((steps) => steps[name]).filter((ms) => ms !== undefined);
    if (reached.length * 2 < samples.length) return [];
    const at = median(reached);
    const line = `${name.padStart(14)} ${at.toFixed(0).padStart(6)} ms   +${(at - before).toFixed(0)}`;
    before = at;
    return [line];
  });
}
