/** Several nodes initialise, one becomes the cluster: interrupted anywhere, nobody is stuck. */
import { mkdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ACTS } from "../../src/agent/acts.ts";
import { classify } from "../../src/agent/disk.ts";
import { factsOf } from "../../src/agent/observe.ts";
import { decide } from "../../src/core/agent-rules.ts";
import { exists } from "../../src/postgres/files.ts";
import { type Bench, copyAndJoin, type Node, openBench, orderFor, serve } from "./harness.ts";

let bench: Bench;

beforeAll(async () => {
  bench = await openBench(2);
}, 60_000);
afterAll(() => bench?.stop(), 60_000);

async function nextAct(node: Node): Promise<string> {
  node.agent.view = node.kept.view;
  return decide(factsOf(node.agent, await classify(node.agent))).act;
}

test("two nodes found, one is committed: the other discards its own, however often it is interrupted", async () => {
  const second = bench.node(2);
  const { paths } = second.agent;
  await ACTS.found(second.agent, orderFor(second));
  // All processes read it at each reload: what it holds is settings, and not initdb's manual.
  const lines = (await readFile(join(paths.dataDir, "postgresql.conf"), "utf8")).split("\n");
  expect(lines.filter((line) => /^\s*#/.test(line))).toHaveLength(1);
  expect(lines.filter((line) => /^max_connections = \d+/.test(line))).toHaveLength(1);
  expect(await nextAct(second)).toBe("wait");
  await serve(bench);
  expect(await nextAct(second)).toBe("discard");

  // Killed between the steps: moved and not removed, half removed, removed but for the note.
  await rename(paths.dataDir, paths.newDir);
  expect(await nextAct(second)).toBe("clone");
  await rm(join(paths.newDir, "PG_VERSION"));
  expect(await nextAct(second)).toBe("clone");
  expect(await exists(paths.founding)).toBe(true);

  await copyAndJoin(second);
  expect((await classify(second.agent)).kind).toBe("ours");
  expect(await exists(paths.founding)).toBe(false);
}, 60_000);

test("a whole discard leaves nothing, even where an earlier one left half a folder", async () => {
  const fresh = await openBench(1);
  try {
    const node = fresh.node(1);
    const { paths } = node.agent;
    await ACTS.found(node.agent, orderFor(node));
    fresh.commit({ system_identifier: "1" });
    await mkdir(join(paths.newDir, "base"), { recursive: true });
    expect(await nextAct(node)).toBe("discard");
    await ACTS.discard(node.agent, orderFor(node));
    expect((await classify(node.agent)).kind).toBe("absent");
    expect(await exists(paths.newDir)).toBe(false);
    expect(await exists(paths.founding)).toBe(false);
  } finally {
    await fresh.stop();
  }
}, 60_000);
