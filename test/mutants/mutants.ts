/** All of them, M01 to M40. */
import { CONTROL_MUTANTS } from "./control-mutants.ts";
import { DATA_MUTANTS } from "./data-mutants.ts";
import type { Mutant, SimulatedMutant } from "./mutant.ts";

export const MUTANTS: readonly Mutant[] = [...CONTROL_MUTANTS, ...DATA_MUTANTS];

export const SIMULATED = MUTANTS.filter((one): one is SimulatedMutant => one.layer === "L1");
