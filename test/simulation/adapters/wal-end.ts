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
