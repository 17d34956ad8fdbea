/** A machine without PostgreSQL: the embedded servers alone make a cluster that survives its primary. */
import { expect, test } from "vitest";
import { expectWithin, useCluster } from "../support/fixture.ts";
import { untilHealthy } from "../support/health.ts";
import { faultUnderLoad } from "../support/round.ts";
import { value } from "../support/sql.ts";

/** No server of PostgreSQL is in these folders. */
const env = { PATH: "/usr/bin:/bin", PG_REPLICA_BIN_DIR: "embedded" };
const cluster = useCluster({ env });

test("three nodes run on the embedded servers and one takes over from a killed primary", async () => {
  const { primary } = await untilHealthy(cluster());
  const version = await value(cluster().node(primary).data.uri, "show server_version");
  expect(version).toMatch(/^17\./);
  const round = await faultUnderLoad(cluster(), { fault: (id) => cluster().killNode(id) });
  expect(round.lost).toEqual([]);
  expect(round.taker).not.toBe(primary);
  expectWithin("write gap", round.gapMs, 2000, round.lagMs);
  // Base backups are taken without pg_basebackup, which is not there: the loser is back.
  expect(round.after.standbys).toContain(primary);
});
