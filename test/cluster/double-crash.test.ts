/** A new primary dies as it is born, another takes over, the dead come back in either order (F36): one history wins. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Injection } from "../support/cluster.ts";
import { useCluster } from "../support/fixture.ts";
import { onPrimary, untilHealthy } from "../support/health.ts";
import { signalTree } from "../support/processes.ts";
import { nextWriter } from "../support/round.ts";
import { value } from "../support/sql.ts";
import { until } from "../support/until.ts";
import { createWriterTable, startWriter } from "../support/writer.ts";

const cluster = useCluster();

/** Gone, and not back before the thaw: the data server dead, everything else frozen. */
async function away(id: number): Promise<Injection> {
  const frozen = await cluster().freezeNode(id);
  signalTree(() => cluster().dataServerOf(id), "SIGKILL");
  return frozen;
}

async function histories(id: number): Promise<string[]> {
  const names = await readdir(join(cluster().node(id).data.dir, "pg_wal"));
  return names.filter((name) => name.endsWith(".history")).sort();
}

/** The first of these nodes whose server begins a timeline of its own. */
async function firstToBegin(ids: readonly number[]): Promise<number> {
  const before = new Map(
    await Promise.all(ids.map(async (id) => [id, await histories(id)] as const)),
  );
  return until("one of them begins a timeline", { limitMs: 40_000, everyMs: 1 }, async () => {
    for (const id of ids) {
      const now = await histories(id);
      if (now.length > (before.get(id)?.length ?? 0)) return id;
    }
    return undefined;
  });
}

async function doubleCrash(back: "old primary first" | "new primary first"): Promise<void> {
  const { primary: old, standbys } = await untilHealthy(cluster());
  await createWriterTable(cluster().node(old).data.uri, "written");
  const writer = startWriter({
    hosts: cluster().dataUris(),
    table: "written",
    writer: nextWriter(),
  });
  await writer.untilAcknowledged(200, 10_000);
  const oldGone = await away(old);
  const born = await firstToBegin(standbys);
  const bornGone = await away(born);
  const order = back === "old primary first" ? [oldGone, bornGone] : [bornGone, oldGone];
  const [first, second] = order as [Injection, Injection];
  cluster().thaw(first);
  await onPrimary(cluster(), "select 1", [], 60_000);
  await writer.untilAcknowledged(100, 30_000);
  cluster().thaw(second);
  const healed = await untilHealthy(cluster());
  await writer.stop();
  const result = await writer.check(cluster().node(healed.primary).data.uri);
  expect(result).toMatchObject({ lost: [], invented: [] });
  const chain =
    "select string_agg(epoch || ':' || stamp_id, ' ' order by epoch) from pgreplica.stamp";
  const wanted = await value(cluster().node(healed.primary).data.uri, chain);
  for (const id of healed.standbys)
    expect(await value(cluster().node(id).data.uri, chain)).toBe(wanted);
  const timelines = "select count(*) - count(distinct timeline) from pgreplica.stamp";
  expect(await value(cluster().node(healed.primary).data.uri, timelines)).toBe("0");
}

test("the old primary comes back first", () => doubleCrash("old primary first"));
test("the one that had just been promoted comes back first", () =>
  doubleCrash("new primary first"));
