/** The test bed itself: what it cuts is cut and counted, what it lifts is whole again, and it leaves nothing behind. */
import { afterAll, expect, test } from "vitest";
import { type Bed, openBed } from "../support/bed/bed.ts";
import { probeHost } from "../support/bed/capabilities.ts";
import { leftovers } from "../support/bed/leftovers.ts";
import { between, type Network } from "../support/bed/links.ts";
import { primaries, untilHealthy, untilNewPrimary } from "../support/health.ts";
import { errorOf, value } from "../support/sql.ts";
import { until } from "../support/until.ts";

const beds: Bed[] = [];

afterAll(async () => {
  for (const bed of beds) await bed.close("keep");
}, 60_000);

async function bedOf(network: Network["kind"]): Promise<Bed> {
  const bed = await openBed({ network });
  beds.push(bed);
  return bed;
}

const quick = { connectMs: 500, answerMs: 500 };

/** Cut the primary off from the other nodes, then heal: the cluster behaves, and packets were really stopped. */
async function partitionAndHeal(bed: Bed): Promise<void> {
  const { primary, standbys } = await untilHealthy(bed);
  const cut = await bed.network.cut(between([primary], standbys, { how: "drop" }));
  const next = await untilNewPrimary(bed, primary, 20_000);
  expect(standbys).toContain(next);
  await until("packets were stopped", { limitMs: 5000 }, async () => (await cut.hits()) > 0);
  await cut.lift();
  const healed = await untilHealthy(bed);
  expect(await primaries(bed)).toEqual([healed.primary]);
}

async function closeAndLook(bed: Bed): Promise<void> {
  const seen = bed.nodes.flatMap(({ id }) => bed.processesOf(id));
  expect(seen.length).toBeGreaterThan(3 * 5);
  await bed.close("remove");
  expect(await leftovers(bed.top, undefined)).toEqual([]);
}

test("in namespaces: a partitioned primary is replaced, and nothing is left of the bed", async (context) => {
  const host = await probeHost();
  console.log(host.describe());
  const missing = host.missing("packet rules");
  if (missing !== undefined) return context.skip(`skipped (capability): ${missing}`);
  const bed = await bedOf("namespaces");
  expect(bed.nodes.map(({ data }) => new URL(data.uri).hostname)).toHaveLength(
    new Set(bed.nodes.map(({ data }) => new URL(data.uri).hostname)).size,
  );
  await partitionAndHeal(bed);

  // A plug that is pulled is noticed by clients too; a port that is reset says so at once.
  const { primary } = await untilHealthy(bed);
  const { uri } = bed.node(primary).data;
  const unplugged = await bed.network.unplug(primary);
  expect(await unplugged.hits()).toBe(1);
  expect((await errorOf(value(uri, "select 1", [], quick))).message).toMatch(/timeout|EHOST/i);
  await unplugged.lift();
  await untilHealthy(bed);
  const reset = await bed.network.cut([
    { from: "clients", to: primary, port: "data", how: "reset" },
  ]);
  expect((await errorOf(value(uri, "select 1", [], quick))).message).toMatch(
    /ECONNREFUSED|ECONNRESET/,
  );
  expect(await reset.hits()).toBeGreaterThan(0);
  await reset.lift();
  expect(await value(uri, "select 1", [], quick)).toBe("1");

  // A disk that is full takes nothing more, and takes it again once it is emptied.
  const [standby = 0] = (await untilHealthy(bed)).standbys;
  const disk = bed.volume(standby, "data");
  if (disk !== undefined) {
    expect(await disk.fill()).toBeLessThan(8192);
    await disk.empty();
    expect(await disk.free()).toBeGreaterThan(64 * 1024 * 1024);
    await untilHealthy(bed, 90_000);
  }
  await closeAndLook(bed);
}, 300_000);

test("through the proxy: a partitioned primary is replaced, and nothing is left of the bed", async () => {
  const bed = await bedOf("proxy");
  await partitionAndHeal(bed);
  await closeAndLook(bed);
}, 240_000);
