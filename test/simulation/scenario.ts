/**
 * What goes wrong in one run, drawn from its seed: a random subset of faults (swarm), each an action that can
 * be left out.
 */
import type { Plan } from "./checkers/checks.ts";
import { CALM } from "./checkers/checks.ts";
import type { Mode, Shape } from "./cluster.ts";
import { keptOf, movesOf } from "./drawn-apart.ts";
import { Random } from "./random.ts";

export const KINDS = [
  "kill_store",
  "kill_worker",
  "kill_server",
  "kill_postmaster",
  "kill_node",
  "power_cut",
  "freeze_node",
  "freeze_worker",
  "freeze_store",
  "freeze_server",
  "partition",
  "one_way",
  "slow_link",
  "lossy",
  "slow_disk",
  "step_kill_worker",
  "step_kill_store",
  "step_pause_worker",
  "switchover",
  "kill_primary",
  "cut_primary",
  "kill_all",
  "drop_stream",
  "deaf_leader",
] as const;
/** What an operator does meanwhile; drawn only where it is asked for. */
export const CHANGES = ["add_node", "remove_node", "replace_node", "set_node"] as const;
/** Drawn only where asked for by name: the runs of all seeds were made without. `move` is drawn apart as well. */
type Asked = "retime" | "move" | "full_leader" | "old_store";
export type Kind = (typeof KINDS)[number] | (typeof CHANGES)[number] | Asked;

export function isChangeKind(kind: Kind): boolean {
  return CHANGES.some((change) => change === kind);
}

/** One fault: when, on whom, for how long. Virtual milliseconds. */
export interface Action {
  readonly at: number;
  readonly kind: Kind;
  /** Nobody has the number 0: it is the primary then. */
  readonly node: number;
  readonly other: number;
  readonly ms: number;
  /** Which durable step, how slow, how lossy: as the kind needs. */
  readonly amount: number;
}

export interface Scenario {
  readonly seed: number;
  readonly shape: Shape;
  readonly plan: Plan;
  readonly actions: readonly Action[];
  /** Faults begin after this, and end by `healAt`. */
  readonly healAt: number;
  readonly duplicates: number;
  readonly clockRates: readonly number[];
  readonly writeEveryMs: number;
  /** How short the log is kept; what is left out, as in older runs: whole. */
  readonly keepEntries?: number;
  /** Nodes that are no members at first. */
  readonly spares?: number;
}

const FIRST_MS = 3500;

export interface Given {
  /** Only these kinds; default: the seed chooses. */
  readonly kinds?: readonly Kind[];
  readonly nodes?: number;
  readonly mode?: Mode;
  readonly plan?: Partial<Plan>;
  /** The members change meanwhile. */
  readonly changes?: boolean;
}

export function scenarioOf(seed: number, given: Given = {}): Scenario {
  const scenario = faultsOf(seed, given);
  return given.changes ? withChanges(scenario, new Random(seed, "members")) : scenario;
}

/** What the product needs from a change of the members to the next, about: the faults are spread as far. */
const CHANGE_MS = 1500;

/** Changes among the faults, one after the other, and now and then two at once. */
function withChanges(scenario: Scenario, random: Random): Scenario {
  const spares = 1 + random.below(2);
  const nodes = scenario.shape.nodes + spares;
  const changes: Action[] = [];
  let at = FIRST_MS;
  for (let count = 3 + random.below(4); count > 0; count -= 1) {
    if (!random.chance(0.35)) at += random.between(0.3, 1.5) * CHANGE_MS;
    const node = 1 + random.below(nodes);
    const ms = Math.round(random.between(0, 1500));
    const rest = { node, other: 1, ms, amount: random.next() };
    changes.push({ at: Math.round(at), kind: random.pick(CHANGES), ...rest });
  }
  const stretch = Math.max(1, (at + CHANGE_MS - FIRST_MS) / (scenario.healAt - FIRST_MS));
  // Who moves is known where it was by whoever is to be introduced to it: not together with these.
  const stay = scenario.actions.filter(({ kind }) => kind !== "move");
  const faults = stay.map((action) => ({
    ...action,
    // Who stays deaf for good can neither be replaced nor be voted out by two.
    kind: action.kind === "deaf_leader" ? "one_way" : action.kind,
    at: Math.round(FIRST_MS + (action.at - FIRST_MS) * stretch),
    // Now and then a newcomer is hit.
    node: random.chance(0.25) ? 1 + random.below(nodes) : action.node,
  }));
  return {
    ...scenario,
    spares,
    actions: [...faults, ...changes].sort((a, b) => a.at - b.at),
    healAt: Math.max(scenario.healAt, Math.round(at + CHANGE_MS)),
    clockRates: [...scenario.clockRates, ...Array.from({ length: spares }, () => 1)],
  };
}

function faultsOf(seed: number, given: Given): Scenario {
  const random = new Random(seed, "faults");
  const nodes = given.nodes ?? (random.chance(0.8) ? 3 : 5);
  const quiet = given.kinds === undefined && random.chance(0.04);
  const enabled =
    given.kinds ?? (quiet ? [] : random.shuffled(KINDS).slice(0, 1 + random.below(6)));
  const count = enabled.length === 0 ? 0 : 1 + random.below(7);
  const length = 2500 + random.below(4500);
  const actions: Action[] = [];
  for (let number = 0; number < count; number += 1) {
    const node = 1 + random.below(nodes);
    const other = 1 + ((node + random.below(nodes - 1)) % nodes);
    actions.push({
      at: Math.round(FIRST_MS + random.between(0, length)),
      kind: random.pick(enabled),
      node,
      other,
      ms: Math.round(random.pick([60, 300, 900, 1500, 4000]) * random.between(0.5, 1.5)),
      amount: random.next(),
    });
  }
  const apart = quiet || given.kinds !== undefined ? undefined : new Random(seed, "move");
  const moves = movesOf(apart, { nodes, from: FIRST_MS, length });
  const slow = random.chance(0.15);
  const plan: Plan = {
    ...CALM,
    orphans: random.chance(0.5) ? 0.6 : 0,
    lateReloads: random.chance(0.4) ? 0.5 : 0,
    slowDisk: slow ? random.between(2, 10) : 1,
    slowReplay: random.chance(0.2) ? random.between(5, 60) : 1,
    ...given.plan,
  };
  return {
    seed,
    shape: { nodes, mode: given.mode ?? "quorum" },
    plan: quiet ? { ...CALM, ...given.plan } : plan,
    actions: [...actions, ...moves].sort((a, b) => a.at - b.at),
    healAt: FIRST_MS + length + 500,
    duplicates: random.chance(0.3) ? random.between(0, 0.5) : 0,
    clockRates: Array.from({ length: nodes }, () =>
      random.chance(0.3) ? random.between(0.97, 1.03) : 1,
    ),
    writeEveryMs: random.between(15, 60),
    ...keptOf(new Random(seed, "log")),
  };
}
