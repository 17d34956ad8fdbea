/** A copy that is cut off, with the primary gone: the node still says truthfully what it holds (D1, D4, H04). */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ACTS } from "../../src/agent/acts.ts";
import { classify } from "../../src/agent/disk.ts";
import { factsOf } from "../../src/agent/observe.ts";
import { fenceServer, startGated } from "../../src/agent/servers.ts";
import { waitUntil } from "../../src/clock/clock.ts";
import { decide } from "../../src/core/agent-rules.ts";
import { exists, removeTree } from "../../src/postgres/files.ts";
import { appoint, failOver, pledged } from "./fail-over.ts";
import {
  type Bench,
  type Node,
  openPair,
  orderFor,
  sql,
  untilStreaming,
  within,
} from "./harness.ts";

let bench: Bench;

beforeAll(async () => {
  bench = await openPair();
}, 60_000);
afterAll(() => bench?.stop(), 60_000);

/** What the loop would do next with what lies there and runs there. */
async function nextAct({ agent, kept }: Node): Promise<string> {
  agent.view = kept.view;
  // A server just ended is left alone for a moment.
  return decide({ ...factsOf(agent, await classify(agent)), rest: "old" }).act;
}

async function leftovers({ agent: { paths } }: Node): Promise<string[]> {
  const { copying, marker, joining, newDir, oldDir } = paths;
  const all = [copying, marker, joining, newDir, oldDir];
  const there = await Promise.all(all.map(exists));
  return all.filter((_, at) => there[at]);
}

async function orphans(node: Node): Promise<number | undefined> {
  const [row] = await sql<{ n: number }>(node, "select count(*)::int as n from t where n = 100");
  return row?.n;
}

test("a copy that is cut off leaves the data what they were, and they are reported", async () => {
  const [first, second] = [bench.node(1), bench.node(2)];
  await failOver(bench, first, second);
  await ACTS.start(first.agent, orderFor(first));
  await ACTS.follow(first.agent, orderFor(first));
  expect(first.agent.state.rejoin).toMatchObject({ epoch: 2n });
  const { newDir, copying } = first.agent.paths;
  const controller = new AbortController();
  const copied = ACTS.clone(first.agent, orderFor(first, controller.signal));
  await waitUntil("a part of the copy", within(10_000), () => exists(join(newDir, "base")));
  controller.abort(new Error("a newer epoch"));
  await expect(copied).rejects.toThrow(/a newer epoch/);
  expect(await leftovers(first)).toEqual([copying, newDir]);
  expect((await classify(first.agent)).kind).toBe("ours");

  const began = second.agent.state.leads?.switchLsn ?? 0n;
  await fenceServer(second.agent, "test");
  const order = pledged(bench, first);
  expect(await nextAct(first)).toBe("start");
  await ACTS.start(first.agent, order);
  await ACTS.report(first.agent, order);
  expect(await orphans(first)).toBe(500);
  expect(began).toBeGreaterThan(0n);
  expect(first.kept.reports.at(-1)?.lsn).toBeGreaterThan(began);
  // Under the epoch it was written in: none of it is of epoch 2 (H23).
  expect(first.kept.reports.at(-1)?.epoch).toBe(3n);
  expect(first.kept.view.followed).toBe(1n);
}, 60_000);

/** A copy of the primary, cut off right after it was said to be whole. */
async function copyUnswapped(node: Node): Promise<void> {
  const { agent } = node;
  const inTheWay = join(agent.paths.oldDir, "in the way");
  const copy: typeof agent.work.copy = async (order) => {
    const backup = await agent.work.copy(order);
    await mkdir(inTheWay, { recursive: true });
    return backup;
  };
  const cut = { ...agent, work: { ...agent.work, copy } };
  await expect(ACTS.clone(cut, orderFor(node))).rejects.toThrow(/ENOTEMPTY|EEXIST/);
  await removeTree(inTheWay);
}

test("a whole copy takes its place and is reported without the primary it was made for", async () => {
  const [first, second] = [bench.node(1), bench.node(2)];
  await ACTS.start(second.agent, orderFor(second));
  await ACTS.report(second.agent, orderFor(second));
  await appoint(bench, second);
  await sql(second, "insert into t values (3)");
  await ACTS.follow(first.agent, orderFor(first));
  expect(first.agent.state.rejoin).toMatchObject({ epoch: 3n });
  await copyUnswapped(first);
  expect((await classify(first.agent)).kind).toBe("swapping");
  await expect(startGated(first.agent)).rejects.toThrow(/forbids a start/);

  await fenceServer(second.agent, "test");
  const order = pledged(bench, first);
  for (const act of ["swap", "start", "vouch", "report"] as const) {
    expect(await nextAct(first)).toBe(act);
    if (act === "vouch") expect((await classify(first.agent)).kind).toBe("whole");
    await ACTS[act](first.agent, order);
  }
  expect(first.kept.reports.at(-1)?.epoch).toBe(4n);
  expect(first.kept.view.followed).toBe(3n);
  expect(await orphans(first)).toBe(0);
  expect(await sql(first, "select n from t where n = 3")).toEqual([{ n: 3 }]);
  expect(await leftovers(first)).toEqual([]);
}, 60_000);

test("a copy that was proved is a member's data like any other: it is promoted, and the other follows", async () => {
  const [first, second] = [bench.node(1), bench.node(2)];
  await appoint(bench, first);
  await ACTS.start(second.agent, orderFor(second));
  await ACTS.follow(second.agent, orderFor(second));
  await untilStreaming(second);
}, 60_000);

test("a copy whose stamps are not those that were appointed is never reported (H02)", async () => {
  const [first, second] = [bench.node(1), bench.node(2)];
  await ACTS.clone(second.agent, orderFor(second));
  await fenceServer(first.agent, "test");
  const order = pledged(bench, second);
  await ACTS.start(second.agent, order);
  const other = order.view.history.map((one) => ({ ...one, node_id: 2 }));
  bench.commit({ history: other });
  await ACTS.vouch(second.agent, orderFor(second));
  expect((await classify(second.agent)).kind).toBe("marked");
  expect(await nextAct(second)).toBe("wait");
}, 60_000);
