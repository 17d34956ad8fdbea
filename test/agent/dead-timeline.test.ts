/** A promotion that nobody went on from leaves its history file with standbys: they must not wait for it for ever. */
import { appendFile, chown, copyFile, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ACTS } from "../../src/agent/acts.ts";
import { look } from "../../src/agent/observe.ts";
import { fenceServer } from "../../src/agent/servers.ts";
import { waitUntil } from "../../src/clock/clock.ts";
import { formatLsn } from "../../src/core/ids.ts";
import { pledged } from "./fail-over.ts";
import { type Bench, openPair, orderFor, sql, untilStreaming, within } from "./harness.ts";

let bench: Bench;

beforeAll(async () => {
  bench = await openPair();
}, 60_000);
afterAll(() => bench?.stop(), 60_000);

test("a standby that saw the timeline of a given-up epoch follows the next one (H35)", async () => {
  const [first, second] = [bench.node(1), bench.node(2)];
  // Epoch 2: a third node is promoted where this standby ends, shows it its history file, and is lost.
  await ACTS.report(second.agent, pledged(bench, second));
  const end = second.kept.reports.at(-1)?.lsn ?? 0n;
  await sql(first, "insert into t select 1 from generate_series(1, 500)");
  const wal = join(second.agent.paths.dataDir, "pg_wal");
  const [own, dead] = [join(wal, "00000002.history"), join(wal, "00000003.history")];
  await copyFile(own, `${dead}.new`);
  await appendFile(`${dead}.new`, `2\t${formatLsn(end)}\tno recovery target specified\n`);
  const { uid, gid } = await stat(own);
  await chown(`${dead}.new`, uid, gid);
  await copyFile(`${dead}.new`, dead);
  await chown(dead, uid, gid);
  await waitUntil("the startup process goes on to it", within(10_000), async () => {
    const log = await readFile(second.agent.paths.logFile, "utf8");
    return log.includes("new target timeline is 3");
  });

  // Epoch 3: the first goes on from where it was.
  const history = [
    ...first.kept.view.history,
    { epoch: 2n, node_id: 3, timeline: 3, switch_lsn: end, from_epoch: 1n },
  ];
  await first.agent.state.server?.stop("immediate", 10_000);
  await fenceServer(first.agent, "test");
  bench.commit({ history });
  const order = pledged(bench, first);
  await ACTS.start(first.agent, order);
  await look(first.agent);
  await ACTS.report(first.agent, order);
  const from = first.kept.reports.at(-1)?.lsn ?? 0n;
  expect(from).toBeGreaterThan(end);
  const next = { epoch: 3n, node_id: 1, timeline: 4, switch_lsn: from, from_epoch: 1n };
  bench.commit(
    {
      epoch_state: "appointed",
      primary_id: 1,
      timeline: 4,
      from_lsn: from,
      history: [...history, next],
    },
    (id) => (id === 1 ? "primary" : "standby"),
  );
  await ACTS.promote(first.agent, orderFor(first));
  bench.commit({ epoch_state: "serving" });

  await ACTS.follow(second.agent, orderFor(second));
  await untilStreaming(second);
  await sql(first, "insert into t values (2)");
  await waitUntil("it has what was written", within(20_000), async () => {
    return (await sql(second, "select 1 from t where n = 2")).length === 1;
  });
}, 90_000);
