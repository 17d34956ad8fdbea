/** A node's volumes come back empty: it heals by itself, as another life that votes only once the log says so (H56). */
import { existsSync, renameSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { expect, test } from "vitest";
import { useCluster } from "../support/fixture.ts";
import { onPrimary, untilHealthy, untilNewPrimary } from "../support/health.ts";
import { eventsOf, lastEvent } from "../support/rejoin.ts";
import { rows, value } from "../support/sql.ts";
import { until } from "../support/until.ts";

const cluster = useCluster();

interface Member extends Record<string, unknown> {
  readonly node_id: number;
  readonly incarnation: string;
  readonly voter: boolean;
}

/** As a store knows it that was there all the time: the member's own may be a new one that has the log only in part. */
async function memberRow(id: number): Promise<Member> {
  const text = "select node_id, incarnation::text, voter from cluster.member where node_id = $1";
  const [row] = await rows<Member>(witnessOf(id), text, [id]);
  if (row === undefined) throw new Error(`no member ${id}`);
  return row;
}

function witnessOf(id: number): string {
  return cluster().nodes.find((one) => one.id !== id)?.control.uri ?? "";
}

/** Everything of the node dies, and these are gone, all at once, before its worker comes back. */
async function loseWithNode(id: number, paths: readonly string[]): Promise<void> {
  const away = await mkdtemp(join(cluster().dir, "lost-"));
  cluster().killNode(id);
  for (const path of paths) {
    if (existsSync(path)) renameSync(path, join(away, basename(path)));
  }
}

/** Both volumes are empty when its worker comes back. */
function wipe(id: number): Promise<void> {
  const { data, control } = cluster().node(id);
  return loseWithNode(id, [data.dir, control.dir, `${data.dir}.mark`]);
}

async function comesBack(id: number, before: Member, after: string): Promise<void> {
  const { incarnation } = await until("another life votes", { limitMs: 60_000 }, async () => {
    const now = await memberRow(id);
    return now.voter && now.incarnation !== before.incarnation && now;
  });
  const names = (await eventsOf(witnessOf(id), after))
    .filter(({ node_id }) => node_id === id)
    .map(({ event }) => event);
  expect(names.indexOf("member_readmitted")).toBeGreaterThanOrEqual(0);
  expect(names.indexOf("member_votes")).toBeGreaterThan(names.indexOf("member_readmitted"));
  await untilHealthy(cluster(), 120_000);
  // In terms from before it was a member again this life has voted for nobody.
  const { uri } = cluster().node(id).control;
  const text = "select incarnation::text, reborn from node.identity";
  expect(await rows(uri, text)).toEqual([{ incarnation, reborn: true }]);
}

async function everywhere(query: string): Promise<Set<string>> {
  const answers = cluster().nodes.map(({ data }) => value(data.uri, query));
  return new Set(await Promise.all(answers));
}

test("both volumes of a standby are emptied: it is a learner, then a voter, and streams", async () => {
  const { primary, standbys, epoch } = await untilHealthy(cluster());
  await onPrimary(cluster(), "create table marker (n integer)");
  await onPrimary(cluster(), "insert into marker values (1)");
  const [victim = 0] = standbys;
  const before = await memberRow(victim);
  const after = await lastEvent(cluster());
  await wipe(victim);
  await comesBack(victim, before, after);
  expect(await untilHealthy(cluster())).toMatchObject({ primary, epoch });
  await until("equal data", { limitMs: 5000 }, async () => {
    const seen = await everywhere("select count(*) from marker");
    return seen.size === 1 && seen.has("1");
  });
});

test("both volumes of the primary are emptied: another serves, and it comes back as a standby", async () => {
  const { primary } = await untilHealthy(cluster());
  const before = await memberRow(primary);
  const after = await lastEvent(cluster());
  await wipe(primary);
  const taker = await untilNewPrimary(cluster(), primary);
  await onPrimary(cluster(), "insert into marker values (2)");
  await comesBack(primary, before, after);
  expect((await untilHealthy(cluster())).primary).toBe(taker);
  await until("equal data", { limitMs: 5000 }, async () => {
    const seen = await everywhere("select count(*) from marker");
    return seen.size === 1 && seen.has("2");
  });
});

test("the control store alone is lost: the data stay, and the node is heard again as another life", async () => {
  const { standbys } = await untilHealthy(cluster());
  const [victim = 0] = standbys;
  const before = await memberRow(victim);
  const after = await lastEvent(cluster());
  const { control, data } = cluster().node(victim);
  await loseWithNode(victim, [control.dir]);
  await comesBack(victim, before, after);
  const names = (await eventsOf(witnessOf(victim), after)).map(({ event }) => event);
  expect(names).not.toContain("cloned");
  const leftovers = ["marker", "joining", "copying", "new", "old"].filter((end) =>
    existsSync(join(dirname(data.dir), `data.${end}`)),
  );
  expect(leftovers).toEqual([]);
});
