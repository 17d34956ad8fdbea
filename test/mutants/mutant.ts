/**
 * The seeded bugs M01 to M88. A mutant is one or more places of the project, each found exactly once, and what stands
 * there instead: applied to a copy, so that the product carries no hook. Each names its killer: the one thing that is
 * run against it, and that must pass without it.
 */
export interface Patch {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export type Killer =
  /** Tests of one file; `name` is a pattern, and left out when they build on each other. */
  | { readonly by: "test"; readonly file: string; readonly name?: string }
  /** Simulated seeds from this one on; one of the invariants `caught` must be violated, anything else is no kill. */
  | {
      readonly by: "seeds";
      readonly from: number;
      readonly caught: readonly string[];
      /** Arguments that make the generator aim; without them the seeds choose. */
      readonly args?: readonly string[];
    }
  /** The faults of a run in test/simulation/corpus, under seeds from this one on. */
  | {
      readonly by: "corpus";
      readonly name: string;
      readonly from: number;
      readonly caught: readonly string[];
    }
  /** Seeds of the differential oracle from this one on: the SQL and its twin differ. */
  | { readonly by: "oracle"; readonly from: number };

interface Common {
  readonly id: string;
  readonly bug: string;
}

export interface LiveMutant extends Common {
  /** What it breaks: invariants and hazards of the proof. */
  readonly rule: string;
  readonly killer: Killer;
  readonly patches: readonly Patch[];
  /** Killed on every `npm test`, not only on `npm run mutants`: cheap, or the first of its kind. */
  readonly quick?: true;
}

/** The product has nothing that could be wrong in this way; `why` says what is missing. */
export interface VoidMutant extends Common {
  readonly why: string;
}

export type Mutant = LiveMutant | VoidMutant;

export const isLive = (one: Mutant): one is LiveMutant => "killer" in one;

/** Faults that make primaries change hands. */
export const AIMED = ["--kinds", "kill_primary,cut_primary,kill_node,partition"];
export const TWIN = "test/oracle/twin/acceptor.ts";
export const COMMANDS = "test/oracle/twin/cluster-commands.ts";

export function test(file: string, name?: string): Killer {
  return { by: "test", file: `test/${file}.test.ts`, ...(name === undefined ? {} : { name }) };
}

export function seeds(from: number, caught: string, args?: readonly string[]): Killer {
  return { by: "seeds", from, caught: caught.split(" "), ...(args === undefined ? {} : { args }) };
}

export function corpus(name: string, from: number, caught: string): Killer {
  return { by: "corpus", name, from, caught: caught.split(" ") };
}

export function oracle(from: number): Killer {
  return { by: "oracle", from };
}

/** As one reads it in a table. */
export function nameOf(killer: Killer): string {
  switch (killer.by) {
    case "test":
      return killer.name === undefined ? killer.file : `${killer.file}: ${killer.name}`;
    case "seeds":
      return `simulation from seed ${killer.from}: ${killer.caught.join(" ")}`;
    case "corpus":
      return `simulation of corpus/${killer.name}.json from seed ${killer.from}: ${killer.caught.join(" ")}`;
    case "oracle":
      return `oracle from seed ${killer.from}`;
  }
}
