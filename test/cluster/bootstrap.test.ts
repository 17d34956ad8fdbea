/** A cluster comes into being once, whoever starts first, and comes back after every stop, in every order. */
import type { ChildProcess } from "node:child_process";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ByHand, endWorker, leftBelow, prepareByHand } from "../support/by-hand.ts";
import { fully } from "../support/fully.ts";
import { onPrimary, primaries, untilHealthy } from "../support/health.ts";
import { useKeptLogs } from "../support/kept-logs.ts";
import { exitOf } from "../support/programs.ts";
import { rows, value } from "../support/sql.ts";
import { holds, until } from "../support/until.ts";

const seed = Number(process.env.SEED ?? Date.now() % 100_000);
const EVERY_ORDER: readonly (readonly [number, number, number])[] = [
  [1, 2, 3],
  [1, 3, 2],
  [2, 1, 3],
  [2, 3, 1],
  [3, 1, 2],
  [3, 2, 1],
];
/** Every second one in a short run, by the seed. */
const ORDERS = EVERY_ORDER.filter((_, at) => fully || at % 2 === seed % 2);

let nodes: ByHand;
const kept = useKeptLogs(() => [nodes.top]);
const workers: ChildProcess[] = [];

beforeAll(async () => {
  nodes = await prepareByHand(3);
  kept.healthy();
});

afterAll(async () => {
  await Promise.all(workers.map(endWorker));
  await nodes.discard(await kept.end());
}, 60_000);

async function start(id: number): Promise<void> {
  workers.push(await nodes.run(id));
  await until(`control store ${id} answers`, { limitMs: 20_000 }, async () => {
    return (await value(nodes.node(id).control.uri, "select 1")) === "1";
  });
}

async function stopAll(): Promise<void> {
  for (const { id } of nodes.nodes) {
    const stopped = await nodes.stop(id);
    expect(stopped, stopped.stderr).toMatchObject({ exitCode: 0 });
  }
  await Promise.all(workers.splice(0).map(exitOf));
  expect(leftBelow(nodes.top)).toEqual([]);
}

test("three nodes initialised and started at once become one cluster", async () => {
  const inits = await Promise.all(nodes.nodes.map(({ id }) => nodes.init(id)));
  for (const { exitCode, stderr } of inits)
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  await Promise.all(nodes.nodes.map(({ id }) => start(id)));
  await untilHealthy(nodes, 60_000);
  const identifiers = nodes.nodes.map(({ data }) =>
    value(data.uri, "select system_identifier from pg_control_system()"),
  );
  expect(new Set(await Promise.all(identifiers)).size).toBe(1);
  const history = await rows(nodes.node(1).control.uri, "select * from pg_replica.history()");
  expect(history).toHaveLength(1);
  await onPrimary(nodes, "create table kept (n integer)");
  await onPrimary(nodes, "insert into kept values (0)");
}, 120_000);

test("init again is refused, and nothing is harmed", async () => {
  const again = await nodes.init(1);
  expect(again.exitCode).not.toBe(0);
  expect(again.stderr).toMatch(/earlier|exists|already/i);
  await untilHealthy(nodes);
});

/** Start the first node and see that it opens nothing alone; then the others. */
async function startInOrder([first, second, third]: (typeof ORDERS)[number]): Promise<void> {
  await start(first);
  await holds("a lone node takes no writes", { forMs: 700 }, async () => {
    return (await primaries(nodes)).length === 0;
  });
  await start(second);
  await start(third);
}

test("stopped cleanly or killed, all nodes come back in every order of start, with every row", async () => {
  for (const [round, order] of ORDERS.entries()) {
    await onPrimary(nodes, "insert into kept values ($1)", [round + 1]);
    if (round % 2 === 0) await stopAll();
    else await nodes.crashAll();
    await startInOrder(order);
    const { primary } = await untilHealthy(nodes, 60_000);
    const count = await value(nodes.node(primary).data.uri, "select count(*) from kept");
    expect({ seed, order, count }).toEqual({ seed, order, count: `${round + 2}` });
  }
}, 240_000);

test("two of three found the cluster, and the third joins whenever it comes", async () => {
  await nodes.crashAll();
  const late = await prepareByHand(3);
  const running: ChildProcess[] = [];
  try {
    for (const id of [3, 1]) {
      expect(await late.init(id)).toMatchObject({ exitCode: 0 });
      running.push(await late.run(id));
    }
    await onPrimary(late, "create table early (n integer)", [], 60_000);
    expect(await late.init(2)).toMatchObject({ exitCode: 0 });
    running.push(await late.run(2));
    await untilHealthy(late, 60_000);
    expect(await value(late.node(2).data.uri, "select count(*) from early")).toBe("0");
  } finally {
    await Promise.all(running.map(endWorker));
    await late.discard("remove");
  }
}, 120_000);
