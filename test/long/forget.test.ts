/** History stays bounded on every node alike, and who was away while it was forgotten has the same state (R5, R10). */
import { expect, test } from "vitest";
import { useCluster } from "../support/fixture.ts";
import { untilHealthy } from "../support/health.ts";
import { errorOf, rows, value } from "../support/sql.ts";
import { until } from "../support/until.ts";

const KEPT = 1000;
const cluster = useCluster({ env: { PG_REPLICA_RAFT_MAX_LOG_ENTRIES: "20" } });

const STATE = `
  select md5(string_agg(r.of_table || r.content::text, ' ' order by r.of_table, r.content::text))
    from cluster.state_row as r`;
const put = (uri: string, items: number) =>
  value(
    uri,
    `select pg_replica.replicate(array(select 'item ' || g from generate_series(1, ${items}) as g))`,
  );
const keptAt = async (uri: string) =>
  Number(await value(uri, "select count(*) from cluster.entry"));

test("entries beyond what the cluster keeps are forgotten on all nodes, one that was away too", async () => {
  const { standbys, leader } = await untilHealthy(cluster());
  const uri = cluster().node(leader).control.uri;
  const away = standbys.find((id) => id !== leader) ?? 0;
  const first = await value(uri, "select pg_replica.replicate('first', 'order 1')");
  await value(uri, "select pg_replica.set('kept_entries', $1)", [`${KEPT}`]);
  const frozen = await cluster().freezeNode(away);
  try {
    for (let batch = 0; batch < 30; batch += 1) await put(uri, 100);
    await until("the leader has forgotten", { limitMs: 10_000 }, async () => {
      const kept = await keptAt(uri);
      return kept >= KEPT && kept <= KEPT + 200;
    });
  } finally {
    cluster().thaw(frozen);
  }
  await until("one state everywhere", { limitMs: 30_000 }, async () => {
    const states = await Promise.all(
      cluster().nodes.map(({ control }) => value(control.uri, STATE)),
    );
    return new Set(states).size === 1;
  });
  for (const { control, data } of cluster().nodes) {
    for (const place of [control.uri, data.uri]) {
      const late = rows(place, "select * from pg_replica.entries($1)", [first]);
      expect((await errorOf(late)).code).toBe("RF005");
      const [oldest] = await rows(place, "select data from pg_replica.entries(max_rows => 1)");
      expect(oldest).toEqual({ data: "item 1" });
    }
  }
  // Its proposal is kept for longer than the entry: it still commits once.
  expect(await value(uri, "select pg_replica.replicate('first', 'order 1')")).toBe(first);
  const settings = "select value from pg_replica.settings() where name = 'kept_entries'";
  expect(await value(cluster().node(away).data.uri, settings)).toBe(`${KEPT}`);
});
