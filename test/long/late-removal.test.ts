/** A member that does not go in time: callers hear so, on the control store and on the data server alike. */
import { expect, test, vi } from "vitest";
import { useDataServers } from "../sql/pg_replica/data-servers.ts";
import { errorOf } from "../support/sql.ts";

vi.setConfig({ testTimeout: 120_000 });

const servers = useDataServers("late-removal", "postgresql://10.0.0.1:7482/postgres");

test("after 30 s it is RF007, which is not taken for a control store that is silent", async () => {
  const { store, primary, standby } = servers;
  const sessions = await Promise.all(
    [store.server, primary, standby].map((server) => servers.login(server)),
  );
  // It is told to leave, and no coordinator is there that would take it out. All are heard for a minute.
  servers.lead();
  await store.db.query("update node.observed set observed_at = raft.now() + interval '1 minute'");
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
});
