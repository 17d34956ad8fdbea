/** Nodes come and go with one call: learner, copy of the data, voter, part of the commit rule, and out again. */
import { readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { expect, test, vi } from "vitest";
import { processesBelow } from "../support/cluster.ts";
import { clusterRow, onPrimary, primaries, status, untilHealthy } from "../support/health.ts";
import { full, useMembers } from "../support/members.ts";
import { signalTree, untilGone } from "../support/processes.ts";
import { rows, sqlstate, value } from "../support/sql.ts";
import { until } from "../support/until.ts";
import { createWriterTable, startWriter } from "../support/writer.ts";

vi.setConfig({ testTimeout: 150_000 });

const WITNESS = 6;
const members = useMembers(6, { founders: 1, witnesses: [WITNESS] });
const { control, untilDone, present } = members;
const node = (id: number) => members.node(id);

async function codeOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "no error",
    (error: unknown) => (error as { code?: string }).code ?? sqlstate(error),
  );
}

/** Everything of it, until the others know. */
async function killed(id: number, by: number): Promise<void> {
  const dir = dirname(node(id).data.dir);
  await untilGone(
    signalTree(() => processesBelow(dir), "SIGKILL"),
    10_000,
  );
  await until(`node ${id} is missed`, { limitMs: 20_000 }, async () => {
    const row = (await status(present(by))).find(({ node_id }) => node_id === id);
    return row?.state === "unreachable";
  });
}

const lifeOf = (id: number, by: number) =>
  value(control(by), "select incarnation from cluster.member where node_id = $1", [id]);

test("a cluster of one grows to three under write load: nobody else is elected, no row is lost", async () => {
  await createWriterTable(node(1).data.uri);
  const writer = startWriter({ hosts: [node(1).data.uri], everyMs: 5 });
  const before = await value(control(1), "select pg_replica.term()");
  for (const id of [2, 3]) {
    await members.join(id, 1);
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
  await members.join(4, 2);
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

test("a dead node's successor has its id and its name, and takes its place in one call", async () => {
  const { primary, standbys } = await untilHealthy(present(1, 2, 4));
  const [dead = 0] = standbys;
  const lived = await lifeOf(dead, primary);
  await killed(dead, primary);
  const folder = dirname(node(dead).data.dir);
  const kept = basename(members.all.configOf(dead));
  for (const name of await readdir(folder)) {
    if (name !== kept) await rm(join(folder, name), { recursive: true });
  }
  await members.join(dead, primary);
  await untilHealthy(present(1, 2, 4), 60_000);
  expect(await members.seenBy(primary)).toEqual([full(1), full(2), full(4)]);
  expect(await lifeOf(dead, primary)).not.toBe(lived);
  await onPrimary(present(1, 2, 4), "insert into written values (9, 8)", [], 30_000);
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

test("two and a witness: it is heard, and with it one that is gone for good is taken out", async () => {
  const [primary = 0] = await primaries(present(1, 2, 4));
  const seen = await members.seenBy(primary);
  const gone = seen.map(({ node_id }) => Number(node_id)).find((id) => id !== primary) ?? 0;
  await members.join(WITNESS, primary);
  await untilDone("add_node", WITNESS, primary);
  await until("the witness is heard", { limitMs: 10_000 }, async () => {
    const row = (await status(present(primary))).find(({ node_id }) => node_id === WITNESS);
    expect(row).toMatchObject({ state: "running", reason: expect.stringMatching(/only votes/) });
    expect(await clusterRow(present(primary))).toMatchObject({ failover: "ready" });
    return true;
  });
  await killed(gone, primary);
  const remove = "select pg_replica.remove_node($1::integer, true)";
  // Then the primary would be one of two that answer, and the other is dead: no force makes a majority of that.
  expect(await codeOf(rows(control(primary), remove, [WITNESS]))).toBe("RF008");
  await until("it is known to be gone", { limitMs: 20_000 }, async () => {
    return (await value(control(primary), remove, [gone], { answerMs: 65_000 })) === "true";
  });
  expect((await members.seenBy(primary)).map(({ node_id }) => node_id)).toEqual(
    [primary, WITNESS].sort((a, b) => a - b),
  );
  await onPrimary(present(primary), "insert into written values (9, 10)", [], 30_000);
});
