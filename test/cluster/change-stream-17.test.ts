/** The same where PostgreSQL copies failover slots by itself. */
import { expect, test } from "vitest";
import { throughFaults } from "../support/change-stream.ts";
import { useCluster } from "../support/fixture.ts";
import { untilHealthy } from "../support/health.ts";
import { value } from "../support/sql.ts";

const env = { PG_REPLICA_BIN_DIR: "embedded", PG_REPLICA_DATA_LOGICAL: "true" };
const cluster = useCluster({ env });

test("writers and a consumer through kill, switchover and kill, on PostgreSQL 17", async () => {
  const { primary } = await untilHealthy(cluster());
  expect(await value(cluster().node(primary).data.uri, "show server_version")).toMatch(/^17\./);
  await throughFaults(cluster(), ["kill data server", "switchover", "kill node"]);
  // Logical streams wait for standbys that are there, and for enough of them.
  const { primary: last, standbys } = await untilHealthy(cluster());
  const waited = await value(cluster().node(last).data.uri, "show synchronized_standby_slots");
  expect(waited.split(",").sort()).toEqual(standbys.map((id) => `pgreplica_${id}`));
}, 600_000);
