/** Every fault we can inject, in order of its number. */
import { AMNESIA } from "./amnesia.ts";
import { CLOCKS } from "./clocks.ts";
import { CRASHES } from "./crashes.ts";
import { DISK_CONTENTS } from "./disk-contents.ts";
import { DISKS } from "./disks.ts";
import type { Fault } from "./fault.ts";
import { HINDRANCES } from "./hindrances.ts";
import { LIMITS } from "./limits.ts";
import { LINKS } from "./links.ts";
import { RESTARTS } from "./restarts.ts";
import { TRESPASSES } from "./trespass.ts";

export const CATALOGUE: readonly Fault[] = [
  ...CRASHES,
  ...LINKS,
  ...DISKS,
  ...DISK_CONTENTS,
  ...CLOCKS,
  ...AMNESIA,
  ...LIMITS,
  ...HINDRANCES,
  ...TRESPASSES,
  ...RESTARTS,
];
