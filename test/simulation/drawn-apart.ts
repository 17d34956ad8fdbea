/** What of a run is drawn by generators of its own, so that the faults of a seed stay what they were without it. */
import type { Random } from "./random.ts";
import type { Action, Scenario } from "./scenario.ts";

/** In some runs a node moves: it is off for a while, and comes back at another address. */
export function movesOf(
  random: Random | undefined,
  {
    nodes,
    from,
    length,
  }: { readonly nodes: number; readonly from: number; readonly length: number },
): Action[] {
  if (random?.chance(0.12) !== true) return [];
  const at = Math.round(from + random.between(0, length));
  const node = 1 + random.below(nodes);
  const ms = Math.round(random.between(0, 900));
  return [{ at, kind: "move", node, other: node, ms, amount: 0 }];
}

/** Most runs keep so little of the log that whoever is away for long is served by snapshot. */
export function keptOf(random: Random): Pick<Scenario, "keepEntries"> {
  return random.chance(0.7) ? { keepEntries: random.below(4) } : {};
}
