/** A member that does not go in time: callers hear so, on the control store and on the data server alike. */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { asStandby, openDataServer } from "../sql/pg_replica/data-servers.ts";
import { elect, lead, openStore, type Store, threeMembers } from "../sql/pg_replica/stores.ts";
import { openScratch, type Scratch } from "../support/scratch.ts";
import { errorOf } from "../support/sql.ts";

vi.setConfig({ testTimeout: 120_000 });

let scratch: Scratch;
let store: Store;

beforeAll(async () => {
  scratch = await openScratch("late-removal");
  store = await openStore(scratch, 1);
}, 60_000);
afterAll(() => scratch.close());

test("after 30 s it is RF007, which is not taken for a control store that is silent", async () => {
  const uri = "postgresql://10.0.0.1:7482/postgres";
  const primary = await openDataServer(scratch, store, uri);
  const standby = await asStandby(scratch, await openDataServer(scratch, store, uri));
  const sessions = await Promise.all(
    [store.server, primary, standby].map((server) => server.connect()),
  );
  // It is told to leave, and no coordinator is there that would take it out. All are heard for a minute.
  await threeMembers([store]);
  await elect([store], 1);
  const work = lead(store, [store]);
  await store.db.query("update node.observed set observed_at = raft.now() + interval '1 minute'");
  try {
    const errors = await Promise.all(
      sessions.map((db) => errorOf(db.query("select pg_replica.remove_node('node3')"))),
    );
    for (const error of errors) {
      expect(error).toMatchObject({
        code: "RF007",
        message: "node3 is on its way out, and not gone after 30 s",
        hint: "It goes on: see pg_replica.requests() and pg_replica.members().",
      });
    }
  } finally {
    await work.stop();
  }
});
