/** The faults a primary's node may have in a demo cluster, by name: each is begun here, and gives what ends it. */
import { expect } from "vitest";
import type { Cluster } from "./cluster.ts";
import type { Healthy } from "./health.ts";
import { value } from "./sql.ts";

export type Fault =
  | "kill data server"
  | "kill postmaster"
  | "kill node"
  | "freeze node"
  | "switchover";

export async function inject(
  cluster: Cluster,
  fault: Fault,
  { primary, standbys }: Healthy,
): Promise<() => void> {
  switch (fault) {
    case "kill data server":
      cluster.killDataServer(primary);
      return () => undefined;
    case "kill postmaster":
      cluster.killPostmaster(primary);
      return () => undefined;
    case "kill node":
      cluster.killNode(primary);
      return () => undefined;
    case "freeze node": {
      const frozen = await cluster.freezeNode(primary);
      return () => cluster.thaw(frozen);
    }
    case "switchover": {
      const [target] = standbys;
      const { uri } = cluster.node(primary).control;
      const ask = "select state from pg_replica.switchover($1::integer)";
      expect(await value(uri, ask, [target])).toBe("done");
      return () => undefined;
    }
  }
}
