/** A change stream goes on after kills and switchovers: nothing missing, nothing that never happened, order kept. */
import { test } from "vitest";
import { throughFaults } from "../support/change-stream.ts";
import { useCluster } from "../support/fixture.ts";

const cluster = useCluster({ env: { PG_REPLICA_DATA_LOGICAL: "true" } });

test("writers and a consumer through kill, switchover and kill", async () => {
  await throughFaults(cluster(), ["kill data server", "switchover", "kill node"]);
}, 600_000);
