/**
 * The seeded bugs M01 to M40. A mutant is one or more places of the source, each found exactly once, and what stands
 * there instead: applied to a copy of the project, so that the product carries no hook. `caught` names the
 * invariants of
 * which one must be violated; anything else does not count as a kill.
 *
 * Layer L1 runs in the simulation (`npm run mutants`). A runner of another layer takes its own from this list
 * by `layer`.
 */
export interface Patch {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

interface Common {
  readonly id: string;
  readonly bug: string;
}

/** Killed in the simulation. */
export interface SimulatedMutant extends Common {
  readonly layer: "L1";
  readonly caught: readonly string[];
  readonly patches: readonly Patch[];
  /** Arguments that make the generator aim; without them the seeds choose. */
  readonly args?: readonly string[];
}

/** Belongs to another layer, or to something the product does not have yet; `why` says which. */
export interface OtherMutant extends Common {
  readonly layer: "L0" | "L2" | "L3" | "none";
  readonly why: string;
}

export type Mutant = SimulatedMutant | OtherMutant;

/** Faults that make primaries change hands. */
export const AIMED = ["--kinds", "kill_primary,cut_primary,kill_node,partition"];
export const TWIN = "test/oracle/twin/acceptor.ts";
export const COMMANDS = "test/oracle/twin/cluster-commands.ts";
