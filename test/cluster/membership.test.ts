/** Nodes come and go with one call: learner, copy of the data, voter, part of the commit rule, and out again. */
import type { ChildProcess } from "node:child_process";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { type ByHand, endWorker, madeUpOf, prepareByHand } from "../support/by-hand.ts";
import { onPrimary, untilHealthy } from "../support/health.ts";
import { rows, sqlstate, value } from "../support/sql.ts";
import { until } from "../support/until.ts";
import { createWriterTable, startWriter } from "../support/writer.ts";

vi.setConfig({ testTimeout: 150_000 });

let all: ByHand;
let failed = false;
const workers = new Map<number, ChildProcess>();

beforeAll(async () => {
  all = await prepareByHand(6, { founders: 1, witnesses: [6] });
  const { exitCode, stderr } = await all.init(1);
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  await run(1);
  await untilHealthy(present(1), 60_000);
}, 120_000);

afterEach(({ task }) => {
  if (task.result?.state === "fail") failed = true;
});

afterAll(async () => {
  await Promise.all([...workers.values()].map(endWorker));
  if (failed) console.error(`logs are kept in ${all.top}`);
  await all.discard(failed ? "keep" : "remove");
}, 60_000);

const present = (...ids: readonly number[]) => madeUpOf(all, ids);

async function run(id: number): Promise<void> {
  workers.set(id, await all.run(id));
}

async function join(id: number, by: number, options: readonly string[] = []): Promise<void> {
  const { exitCode, stderr } = await all.join(id, by, options);
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  await run(id);
}

const control = (id: number) => all.node(id).control.uri;

async function untilDone(kind: string, id: number, by: number): Promise<void> {
  await until(`${kind} of node ${id} is done`, { limitMs: 60_000 }, async () => {
    const text = `select state from pg_replica.requests()
                   where kind = $1 and coalesce(to_node, from_node) = $2 limit 1`;
    return (await value(control(by), text, [kind, id])) === "done";
  });
}

async function removeNode(id: number, by: number, force = false): Promise<void> {
  const text = "select pg_replica.remove_node($1::integer, $2)";
  expect(await value(control(by), text, [id, force], { answerMs: 65_000 })).toBe("true");
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "no error",
    (error: unknown) => (error as { code?: string }).code ?? sqlstate(error),
  );
}

async function membersSeenBy(id: number): Promise<Record<string, unknown>[]> {
  const text = "select node_id, voter, sync, state from pg_replica.members()";
  return await rows(control(id), text);
}

const full = (node_id: number) => ({ node_id, voter: true, sync: true, state: "attached" });

test("a cluster of one grows to three under write load: nobody else is elected, no row is lost", async () => {
  await createWriterTable(all.node(1).data.uri);
  const writer = startWriter({ hosts: [all.node(1).data.uri], everyMs: 5 });
  const before = await value(control(1), "select pg_replica.term()");
  for (const id of [2, 3]) {
    await join(id, 1);
    await untilDone("add_node", id, 1);
  }
  await writer.stop();
  await untilHealthy(present(1, 2, 3), 30_000);
  expect(await membersSeenBy(3)).toEqual([full(1), full(2), full(3)]);
  expect(await value(control(1), "select pg_replica.term()")).toBe(before);
  for (const id of [1, 2, 3]) {
    const result = await writer.check(all.node(id).data.uri);
    expect(result).toMatchObject({ lost: [], invented: [] });
    expect(result.acknowledged).toBeGreaterThan(100);
  }
});

test("what cannot join is refused, by name", async () => {
  const add = (dsn: string) => rows(control(1), "select pg_replica.add_node($1)", [dsn]);
  expect(await codeOf(add("host=127.0.0.1 port=1"))).toBe("RF006");
  expect(await codeOf(add("somewhere"))).toBe("22023");
  const me = `host=127.0.0.1 port=${all.node(2).control.port}`;
  expect(await value(control(1), "select pg_replica.add_node($1)", [me])).toBe("2");
});

test("a fourth replaces the third: its server ends, its slot goes", async () => {
  await join(4, 2);
  await untilDone("add_node", 4, 1);
  await removeNode(3, 2);
  expect(await membersSeenBy(1)).toEqual([full(1), full(2), full(4)]);
  await until("the removed server is down", { limitMs: 10_000 }, async () => {
    return (await codeOf(rows(all.node(3).data.uri, "select 1"))) === "ECONNREFUSED";
  });
  await untilHealthy(present(1, 2, 4), 30_000);
  const slots =
    "select count(*)::integer as n from pg_replication_slots where slot_name = 'pgreplica_3'";
  await until("its slot is gone", { limitMs: 15_000 }, async () => {
    return (await onPrimary(present(1, 2, 4), slots))[0]?.n === 0;
  });
});

test("the primary and leader leaves: both roles move off it first", async () => {
  const { primary, standbys } = await untilHealthy(present(1, 2, 4));
  const [by = 0] = standbys;
  await removeNode(primary, by);
  expect(await membersSeenBy(by)).toEqual(standbys.map(full));
  await onPrimary(present(...standbys), "insert into written values (9, 9)", [], 30_000);
  const leader =
    "select leader_id in (select node_id from pg_replica.members()) as ok from pg_replica.cluster()";
  expect(await value(control(by), leader)).toBe("true");
  await until("the removed server is down", { limitMs: 10_000 }, async () => {
    return (await codeOf(rows(all.node(primary).data.uri, "select 1"))) === "ECONNREFUSED";
  });
});
