/** m4-fence: both standby nodes are killed. Nobody can confirm the primary, so it ends by itself, and says why. */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type Bed, openBed } from "../support/bed/bed.ts";
import { killNode } from "../support/faults/crashes.ts";
import { expectWithin } from "../support/fixture.ts";
import { onPrimary, type StatusRow, untilHealthy } from "../support/health.ts";
import { watchLag } from "../support/lag.ts";
import { OVER_MS, refusesAll, untilOver } from "../support/old-primary.ts";
import { open, rows } from "../support/sql.ts";
import { NotYet, until } from "../support/until.ts";

let bed: Bed;
vi.setConfig({ testTimeout: 150_000 });
beforeAll(async () => {
  bed = await openBed({ volumes: false });
}, 240_000);
afterAll(() => bed?.close("remove"), 60_000);

test("a primary whose standbys' nodes are dead refuses everything, says why, and serves again with them", async () => {
  const { primary, standbys } = await untilHealthy(bed);
  const { uri } = bed.node(primary).data;
  await onPrimary(bed, "create table m4 (n integer)");
  await onPrimary(bed, "insert into m4 values (1)");
  const [reading, old] = [await open(uri), await open(uri, { answerMs: 1000 })];
  const lag = watchLag();
  const dead = standbys.map((id) => killNode(bed, id));
  for (const one of dead) console.log(await one.proof());
  const at = Math.min(...dead.map((one) => one.at));

  const over = await untilOver(uri, reading, 2 * OVER_MS);
  expectWithin("the primary served for", over - at, OVER_MS, lag.stop());
  await refusesAll(uri, old, "m4");
  // It stays so, though it runs again, read-only, and listens to nobody.
  const own = await until("it says why", { limitMs: 10_000 }, async () => {
    const all = await rows<StatusRow>(bed.node(primary).control.uri, "table pg_replica.status");
    const row = all.find(({ node_id }) => node_id === primary);
    // What its worker said just before the end says running too: the role tells the two apart.
    const again = row?.state === "running" && row.role === "standby";
    if (again && /no quorum/.test(row.reason)) return row;
    throw new NotYet(`status: ${JSON.stringify(row)}`);
  });
  expect(own.writable).toBe(false);
  const [whole] = await rows(bed.node(primary).control.uri, "table pg_replica.cluster");
  expect(whole).toMatchObject({ writable: false, has_quorum: false });
  await refusesAll(uri, old, "m4");

  for (const one of dead) await one.heal();
  await untilHealthy(bed, 90_000);
  await onPrimary(bed, "insert into m4 values (2)");
  expect(await onPrimary(bed, "select n from m4 order by n")).toEqual([{ n: 1 }, { n: 2 }]);
});
