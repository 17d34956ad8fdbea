/** Every size a cluster may have, one after the other: from one node to seven, back to three, to two and a witness. */
import { expect, test, vi } from "vitest";
import { onPrimary, untilHealthy } from "../support/health.ts";
import { full, useMembers } from "../support/members.ts";
import { value } from "../support/sql.ts";
import { createWriterTable, startWriter } from "../support/writer.ts";

vi.setConfig({ testTimeout: 400_000 });

const WITNESS = 8;
const members = useMembers(8, { founders: 1, witnesses: [WITNESS] });
const { control, join, untilDone, present } = members;
const node = (id: number) => members.node(id);
const term = () => value(control(1), "select pg_replica.term()");

/** Under write load at the primary, which is node 1; no row is lost on any of the nodes left, and nobody is elected. */
async function underLoad(work: () => Promise<void>, left: readonly number[]): Promise<void> {
  const writer = startWriter({ hosts: [node(1).data.uri], everyMs: 5 });
  const before = await term();
  await work();
  await writer.stop();
  await untilHealthy(present(...left), 60_000);
  expect(await members.seenBy(left.at(-1) ?? 0)).toEqual(left.map(full));
  expect(await term()).toBe(before);
  for (const id of left) {
    const result = await writer.check(node(id).data.uri);
    expect(result).toMatchObject({ lost: [], invented: [] });
    expect(result.acknowledged).toBeGreaterThan(100);
  }
}

/** A writer's numbers begin anew: so does its table. */
async function grow(ids: readonly number[], left: readonly number[]): Promise<void> {
  await onPrimary(
    present(...left.filter((id) => !ids.includes(id))),
    "drop table if exists written",
  );
  await createWriterTable(node(1).data.uri);
  await underLoad(async () => {
    for (const id of ids) {
      await join(id, 1);
      await untilDone("add_node", id, 1);
    }
  }, left);
}

async function shrink(ids: readonly number[], left: readonly number[]): Promise<void> {
  await onPrimary(present(...left, ...ids), "drop table if exists written");
  await createWriterTable(node(1).data.uri);
  await underLoad(async () => {
    for (const id of ids) await members.remove(id, 1);
  }, left);
}

test("from one to five", () => grow([2, 3, 4, 5], [1, 2, 3, 4, 5]));

test("to seven", () => grow([6, 7], [1, 2, 3, 4, 5, 6, 7]));

test("back to three", () => shrink([7, 6, 5, 4], [1, 2, 3]));

test("two and a witness: it votes, and holds no data", async () => {
  await join(WITNESS, 1);
  await untilDone("add_node", WITNESS, 1);
  await members.remove(3, 1);
  const seen = await members.seenBy(2);
  expect(seen.map(({ node_id, voter }) => [node_id, voter])).toEqual([
    [1, true],
    [2, true],
    [WITNESS, true],
  ]);
  expect(seen.find(({ node_id }) => node_id === WITNESS)).toMatchObject({ sync: false });
  await createWriterTable(node(1).data.uri, "with_witness");
  const writer = startWriter({ hosts: [node(1).data.uri], table: "with_witness" });
  await writer.untilAcknowledged(100, 20_000);
  await writer.stop();
  expect(await writer.check(node(2).data.uri)).toMatchObject({ lost: [], invented: [] });
});
