/** `src/agent/wal-end.ts`: the end of the shutdown checkpoint of a modelled data directory. */
import { dataOf } from "../model/wal.ts";
import { world } from "../world.ts";

export async function shutdownEnd(dataDir: string): Promise<bigint> {
  const data = dataOf(world().files, dataDir);
  if (data?.state !== "shut_down") {
    throw new Error(`the server was left ${data?.state}, not shut down`);
  }
  return BigInt(data.checkpointLsn);
}

export function segmentName(timeline: number, lsn: bigint, segmentBytes: bigint): string {
  const hex = (value: bigint) => value.toString(16).toUpperCase().padStart(8, "0");
  const number = lsn / segmentBytes;
  const perFile = 0x100000000n / segmentBytes;
  return hex(BigInt(timeline)) + hex(number / perFile) + hex(number % perFile);
}

export async function redoOf(
  _dataDir: string,
  { checkpointLsn }: { readonly checkpointLsn: bigint },
): Promise<bigint> {
  return checkpointLsn;
}
