/** `src/postgres/control-file.ts`: what pg_control says, from the modelled data directory. */
import { missing } from "../files.ts";
import { controlFile, dataOf, SEGMENT } from "../model/wal.ts";
import { world } from "../world.ts";

export type ControlState =
  | "starting_up"
  | "shut_down"
  | "shut_down_in_recovery"
  | "shutting_down"
  | "in_crash_recovery"
  | "in_archive_recovery"
  | "in_production";

export class ControlFileUnreadable extends Error {
  override readonly name = "ControlFileUnreadable";
}

export async function readControlFile(dataDir: string) {
  const data = dataOf(world().files, dataDir);
  if (data === undefined) throw missing(controlFile(dataDir));
  return {
    systemIdentifier: data.systemIdentifier,
    controlVersion: 1700,
    catalogVersion: 1,
    state: data.state as ControlState,
    checkpointLsn: BigInt(data.checkpointLsn),
    redoLsn: BigInt(data.checkpointLsn),
    timeline: data.timeline,
    previousTimeline: data.timeline,
    minRecoveryLsn: 0n,
    minRecoveryTimeline: 0,
    checksums: true,
    walSegmentBytes: SEGMENT,
  };
}
export type ControlFile = Awaited<ReturnType<typeof readControlFile>>;
