/** A data server that cannot start: it is tried three times within a minute, and why stays told (H70). */
import { afterAll, beforeAll, expect, test } from "vitest";
import { runAgentOn } from "../../src/agent/agent.ts";
import { monotonicClock, waitUntil } from "../../src/clock/clock.ts";
import { quietHints } from "../../src/db/hints.ts";
import { createLog } from "../../src/log/logger.ts";
import { alwaysConfirmed, type Bench, openBench, serve, within } from "./harness.ts";

let bench: Bench;
let stop: () => Promise<void> = async () => undefined;

beforeAll(async () => {
  bench = await openBench(1);
  await serve(bench);
  await bench.leave();
}, 60_000);
afterAll(async () => {
  await stop();
  await bench?.stop();
}, 60_000);

test("who is pledged, and whose server ends at each start, rests after the third, and says why", async () => {
  const { agent, kept } = bench.node(1);
  Object.assign(agent.data.settings, { shared_preload_libraries: "no_such_library" });
  const epoch = { epoch: 2n, pledge: 2n, epoch_state: "opened", primary_id: null } as const;
  bench.commit({ ...epoch, rule_k: 1, reported: false }, () => "pledged");
  const events: string[] = [];
  const write = (line: string) => void events.push(JSON.parse(line).event);
  const starts = () => events.filter((event) => event === "data.started").length;

  const controller = new AbortController();
  const { config, binaries, owner, store, work } = agent;
  const running = runAgentOn({
    ...{ config, binaries, owner, store, work },
    clock: monotonicClock,
    log: createLog({}, { destination: { write } }),
    hints: quietHints(),
    lease: { source: alwaysConfirmed, random: Math.random },
    signal: controller.signal,
  });
  stop = async () => {
    controller.abort();
    await running;
  };
  await waitUntil("the third start", within(20_000), () => starts() >= 3);
  // Time enough for five more.
  const since = kept.rows.length;
  await waitUntil("it has said so five times", within(20_000), () => kept.rows.length >= since + 5);
  expect(starts()).toBe(3);
  const problems = new Set(kept.rows.slice(since).map(({ problem }) => String(problem)));
  expect([...problems].join("; ")).toMatch(/no_such_library|died 3 times within a minute/);
  expect(problems).not.toContain("null");
}, 60_000);
