/** A rewind that is cut off, with the primary gone: what it left holds nothing, and the node says so (D1, D4, H04). */
import { afterAll, beforeAll, expect, test } from "vitest";
import { ACTS } from "../../src/agent/acts.ts";
import { classify } from "../../src/agent/disk.ts";
import { putMarker } from "../../src/agent/notes.ts";
import { factsOf } from "../../src/agent/observe.ts";
import { fenceServer } from "../../src/agent/servers.ts";
import { decide } from "../../src/core/agent-rules.ts";
import { removeTree } from "../../src/postgres/files.ts";
import { failOver, pledged } from "./fail-over.ts";
import { type Bench, type Node, openPair, orderFor } from "./harness.ts";

let bench: Bench;

beforeAll(async () => {
  bench = await openPair();
  await failOver(bench, bench.node(1), bench.node(2));
}, 60_000);
afterAll(() => bench?.stop(), 60_000);

async function nextAct({ agent, kept }: Node): Promise<string> {
  agent.view = kept.view;
  return decide(factsOf(agent, await classify(agent))).act;
}

test("cut off, it says from which epoch on it confirmed nothing, and nothing of it starts", async () => {
  const [first, second] = [bench.node(1), bench.node(2)];
  const { agent } = first;
  await ACTS.start(agent, orderFor(first));
  await ACTS.follow(agent, orderFor(first));
  expect(agent.state.rejoin).toMatchObject({ epoch: 2n, by: "rewind" });
  const rewind = () => Promise.reject(new Error("cut off"));
  const cut = { ...agent, work: { ...agent.work, rewind } };
  await expect(ACTS.rewind(cut, orderFor(first))).rejects.toThrow("cut off");
  expect(await classify(agent)).toMatchObject({ kind: "marked", nothingFrom: 2n });

  await fenceServer(second.agent, "test");
  const order = pledged(bench, first);
  expect(await nextAct(first)).toBe("report_void");
  await expect(ACTS.start(agent, order)).rejects.toThrow(/forbids a start/);
  await ACTS.report_void(agent, order);
  expect(first.kept.voids).toMatchObject([{ epoch: 3n, nothingFrom: 2n }]);
  expect(first.kept.reports).toEqual([]);
  expect(await nextAct(first)).toBe("wait");
}, 60_000);

test("data that were found to lead nowhere are no ground for it", async () => {
  const first = bench.node(1);
  await removeTree(first.agent.paths.marker);
  await putMarker(first.agent);
  const order = pledged(bench, first);
  expect(await nextAct(first)).toBe("wait");
  await expect(ACTS.report_void(first.agent, order)).rejects.toThrow(/nothing says/);
}, 60_000);
