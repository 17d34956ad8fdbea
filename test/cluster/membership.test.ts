/** Nodes come and go with one call: learner, copy of the data, voter, part of the commit rule, and out again. */
import { expect, test, vi } from "vitest";
import { onPrimary, untilHealthy } from "../support/health.ts";
import { full, useMembers } from "../support/members.ts";
import { rows, sqlstate, value } from "../support/sql.ts";
import { until } from "../support/until.ts";
import { createWriterTable, startWriter } from "../support/writer.ts";

vi.setConfig({ testTimeout: 150_000 });

const members = useMembers(6, { founders: 1, witnesses: [6] });
const { control, join, untilDone, present } = members;
const node = (id: number) => members.node(id);

async function codeOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "no error",
    (error: unknown) => (error as { code?: string }).code ?? sqlstate(error),
  );
}

test("a cluster of one grows to three under write load: nobody else is elected, no row is lost", async () => {
  await createWriterTable(node(1).data.uri);
  const writer = startWriter({ hosts: [node(1).data.uri], everyMs: 5 });
  const before = await value(control(1), "select pg_replica.term()");
  for (const id of [2, 3]) {
    await join(id, 1);
    await untilDone("add_node", id, 1);
  }
  await writer.stop();
  await untilHealthy(present(1, 2, 3), 30_000);
  expect(await members.seenBy(3)).toEqual([full(1), full(2), full(3)]);
  expect(await value(control(1), "select pg_replica.term()")).toBe(before);
  for (const id of [1, 2, 3]) {
    const result = await writer.check(node(id).data.uri);
    expect(result).toMatchObject({ lost: [], invented: [] });
    expect(result.acknowledged).toBeGreaterThan(100);
  }
});

test("what cannot join is refused, by name", async () => {
  const add = (dsn: string) => rows(control(1), "select pg_replica.add_node($1)", [dsn]);
  expect(await codeOf(add("host=127.0.0.1 port=1"))).toBe("RF006");
  expect(await codeOf(add("somewhere"))).toBe("22023");
  const me = `host=127.0.0.1 port=${node(2).control.port}`;
  expect(await value(control(1), "select pg_replica.add_node($1)", [me])).toBe("2");
});

test("a fourth replaces the third: its server ends, its slot goes", async () => {
  await join(4, 2);
  await untilDone("add_node", 4, 1);
  await members.remove(3, 2);
  expect(await members.seenBy(1)).toEqual([full(1), full(2), full(4)]);
  await until("the removed server is down", { limitMs: 10_000 }, async () => {
    return (await codeOf(rows(node(3).data.uri, "select 1"))) === "ECONNREFUSED";
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
  await members.remove(primary, by);
  expect(await members.seenBy(by)).toEqual(standbys.map(full));
  await onPrimary(present(...standbys), "insert into written values (9, 9)", [], 30_000);
  const leader =
    "select leader_id in (select node_id from pg_replica.members()) as ok from pg_replica.cluster()";
  expect(await value(control(by), leader)).toBe("true");
  await until("the removed server is down", { limitMs: 10_000 }, async () => {
    return (await codeOf(rows(node(primary).data.uri, "select 1"))) === "ECONNREFUSED";
  });
});
