/** All of them, M01 to M88. */
import { CHANGE_MUTANTS } from "./change-mutants.ts";
import { CLONE_MUTANTS } from "./clone-mutants.ts";
import { CONTROL_MUTANTS } from "./control-mutants.ts";
import { DATA_MUTANTS } from "./data-mutants.ts";
import { FAILOVER_MUTANTS } from "./failover-mutants.ts";
import { FORGET_MUTANTS } from "./forget-mutants.ts";
import { isLive, type Mutant } from "./mutant.ts";
import { READ_MUTANTS } from "./read-mutants.ts";
import { SNAPSHOT_MUTANTS } from "./snapshot-mutants.ts";
import { TIMER_MUTANTS } from "./timer-mutants.ts";
import { TLS_MUTANTS } from "./tls-mutants.ts";

export const MUTANTS: readonly Mutant[] = [
  ...CONTROL_MUTANTS,
  ...READ_MUTANTS,
  ...FAILOVER_MUTANTS,
  ...DATA_MUTANTS,
  ...SNAPSHOT_MUTANTS,
  ...FORGET_MUTANTS,
  ...TIMER_MUTANTS,
  ...CHANGE_MUTANTS,
  ...TLS_MUTANTS,
  ...CLONE_MUTANTS,
];

export const LIVE = MUTANTS.filter(isLive);
