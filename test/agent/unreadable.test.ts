/** A data directory that cannot be classified: the node says so, once, and goes on when it can. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runAgentOn } from "../../src/agent/agent.ts";
import { fenceServer } from "../../src/agent/servers.ts";
import { monotonicClock, waitUntil } from "../../src/clock/clock.ts";
import { quietHints } from "../../src/db/hints.ts";
import { createLog } from "../../src/log/logger.ts";
import { alwaysConfirmed, type Bench, type Node, openPair, within } from "./harness.ts";

let bench: Bench;

beforeAll(async () => {
  bench = await openPair();
  await bench.leave();
}, 60_000);
afterAll(() => bench?.stop(), 60_000);

/** Its worker runs while `during` does, over a control file that says nothing until it is mended. */
async function whileUnreadable(node: Node, during: (o: During) => Promise<void>): Promise<void> {
  const { config, binaries, owner, store, work, paths } = node.agent;
  await fenceServer(node.agent, "test");
  const path = join(paths.dataDir, "global", "pg_control");
  const whole = await readFile(path);
  await writeFile(path, Buffer.alloc(whole.length));
  node.kept.rows.length = 0;
  const logged: string[] = [];
  let views = 0;
  const view = () => {
    views += 1;
    return store.view();
  };
  const controller = new AbortController();
  const running = runAgentOn({
    ...{ config, binaries, owner, work, store: { ...store, view } },
    clock: monotonicClock,
    log: createLog({}, { destination: { write: (line) => void logged.push(line) } }),
    hints: quietHints(),
    lease: { source: alwaysConfirmed, random: Math.random },
    signal: controller.signal,
  });
  try {
    await during({ logged, views: () => views, mend: () => writeFile(path, whole) });
  } finally {
    controller.abort();
    await running;
    await writeFile(path, whole);
  }
}

interface During {
  readonly logged: readonly string[];
  views(): number;
  mend(): Promise<void>;
}

const until = (name: string, check: () => boolean) => waitUntil(name, within(20_000), check);

test("a standby's node says what is wrong, in its status and once in its log, and goes on when it is mended", async () => {
  const { kept } = bench.node(2);
  await whileUnreadable(bench.node(2), async ({ logged, mend }) => {
    await until("it has said so three times", () => kept.rows.length >= 3);
    const why = expect.stringContaining("pg_control");
    for (const row of kept.rows) {
      expect(row).toMatchObject({ role: "none", gone: false, problem: why });
    }
    expect(logged.filter((line) => line.includes("could not adopt"))).toHaveLength(1);
    await mend();
    await until("it runs", () => {
      const { role, problem } = kept.rows.at(-1) ?? {};
      return role === "standby" && problem === null;
    });
  });
}, 60_000);

test("D11: the primary's stays silent: only so another takes over, and then it says it too", async () => {
  const { kept } = bench.node(1);
  await whileUnreadable(bench.node(1), async ({ views }) => {
    await until("it has tried for a while", () => views() >= 5);
    expect(kept.rows).toEqual([]);
    const next = { epoch: 2n, pledge: 2n, epoch_state: "opened", primary_id: null } as const;
    bench.commit({ ...next, reported: false }, () => "pledged");
    await until("it says so", () => /pg_control/.test(String(kept.rows.at(-1)?.problem)));
  });
}, 60_000);
