/** Who was to leave holds what nobody else does, and becomes primary: it stays, and its remover is told. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { clusterView } from "../../../src/db/cluster.ts";
import { openScratch, type Scratch } from "../../support/scratch.ts";
import { errorOf } from "../../support/sql.ts";
import { type Entry, elect, lead, openStore, type Store, threeMembers } from "./stores.ts";

let scratch: Scratch;
let store: Store;

beforeAll(async () => {
  scratch = await openScratch("stays");
  store = await openStore(scratch, 1);
}, 60_000);
afterAll(() => scratch.close());

const AT = "2026-01-01T12:00:00Z";

/** The primary dies at the very moment: of all members node 3 alone holds what the next one must. */
async function primaryDies({ kind }: Entry): Promise<readonly Entry[]> {
  if (kind !== "leave") return [];
  const appointed = { epoch: "3", node_id: 3, timeline: 4, from_epoch: "2", from_lsn: "0/4000000" };
  return [
    { kind: "open_epoch", body: { epoch: "3", cause: "node_gone", reason: "it is gone", at: AT } },
    { kind: "appoint", body: { ...appointed, reason: "the best report wins", at: AT } },
  ];
}

test("remove_node() fails by name, the member stays, and its history says so", async () => {
  await threeMembers([store]);
  await elect([store], 1);
  await store.db.query("update node.observed set observed_at = raft.now() + interval '1 minute'");
  const work = lead(store, [store], primaryDies);
  try {
    const error = await errorOf(store.db.query("select pg_replica.remove_node('node3')"));
    expect(error).toMatchObject({
      code: "RF010",
      message: "node3 became primary instead of leaving: nobody else held what it holds",
      hint: "Once another streams from it: select pg_replica.remove_node('node3');",
    });
  } finally {
    await work.stop();
  }
  const { members, epochs } = await clusterView(store.db);
  expect(members.find(({ node_id }) => node_id === 3)).toMatchObject({ leaving: false });
  expect(epochs[0]).toMatchObject({ epoch: 3n, node_id: 3 });
  const { rows } = await store.db.query(
    "select event, from_state, to_state from pg_replica.events() where node_id = 3 order by event_id",
  );
  expect(rows.slice(-3).map(({ event }) => event)).toEqual([
    "member_leaving",
    "primary_appointed",
    "member_stays",
  ]);
});
