/** A standby whose store is cut off follows a primary that was appointed anew, and confirms its commits, untold. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { ACTS } from "../../src/agent/acts.ts";
import { look } from "../../src/agent/observe.ts";
import { fenceServer } from "../../src/agent/servers.ts";
import { waitUntil } from "../../src/clock/clock.ts";
import type { AgentView } from "../../src/db/node.ts";
import { type Bench, type Node, openPair, orderFor, sql, within } from "./harness.ts";

let bench: Bench;

beforeAll(async () => {
  bench = await openPair();
}, 60_000);
afterAll(() => bench?.stop(), 60_000);

/** Only this node's store hears of it. */
function tell({ kept, agent }: Node, part: Partial<AgentView>): void {
  kept.view = { ...kept.view, ...part };
  agent.view = kept.view;
}

test("its report counts them for the epoch they are of (H23, D4)", async () => {
  const [first, second] = [bench.node(1), bench.node(2)];
  await first.agent.state.server?.stop("immediate", 10_000);
  await fenceServer(first.agent, "test");
  tell(first, { epoch: 2n, pledge: 2n, epoch_state: "opened", primary_id: null, goal: "pledged" });
  await ACTS.start(first.agent, orderFor(first));
  await look(first.agent);
  await ACTS.report(first.agent, orderFor(first));
  const from = first.kept.reports.at(-1)?.lsn ?? 0n;
  const again = { epoch: 2n, node_id: 1, timeline: 3, switch_lsn: from, from_epoch: 1n };
  const history = [...first.kept.view.history, again];
  const appointed = { epoch_state: "appointed", primary_id: 1, goal: "primary" } as const;
  tell(first, { ...appointed, timeline: 3, from_lsn: from, history });
  await ACTS.promote(first.agent, orderFor(first));
  await sql(first, "insert into t values (1)");

  await waitUntil("the untold standby has it", within(20_000), async () => {
    return (await sql(second, "select 1 from t")).length === 1;
  });
  expect(second.kept.view.followed).toBe(1n);

  const opened = { epoch: 3n, pledge: 3n, epoch_state: "opened", goal: "pledged" } as const;
  tell(second, { ...opened, primary_id: null, reported: false, history });
  await look(second.agent);
  await ACTS.report(second.agent, orderFor(second));
  expect(second.kept.reports.at(-1)?.epoch).toBe(3n);
  expect(second.kept.view.followed).toBe(2n);
}, 90_000);
