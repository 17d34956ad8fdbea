/**
 * The log as a service over the end of everything: what was acknowledged is there when all nodes are killed at once,
 * who comes back alone leads nobody, and who has left counts for nothing.
 */
import { expect, test, vi } from "vitest";
import { untilHealthy } from "../support/health.ts";
import { useMembers } from "../support/members.ts";
import { errorOf, hangUp, open, rows, sqlstate, value } from "../support/sql.ts";
import { holds, until } from "../support/until.ts";

vi.setConfig({ testTimeout: 240_000 });

const members = useMembers(3, { founders: 1 });
const { control, present } = members;
const ALONE_MS = 8000;

/** Two members are never more than half healthy: without one of them there is no majority. */
function untilLed(...ids: readonly number[]): Promise<number> {
  return until("one of them leads", { limitMs: 90_000 }, async () => {
    for (const id of ids) {
      if ((await value(control(id), "select pgraft_is_leader()")) === "true") return id;
    }
    return undefined;
  });
}

const untilWhole = async () => (await untilHealthy(present(1, 2, 3), 90_000)).leader;

test("nodes are added by their leader, and are members after all have died", async () => {
  for (const id of [2, 3]) {
    await members.join(id, 1);
    const add = "select pgraft_add_node($1, '127.0.0.1', $2)";
    await until(`node ${id} is added`, { limitMs: 60_000 }, async () => {
      const leader = await untilLed(...[1, 2, 3].slice(0, id - 1));
      const { port } = members.node(id).control;
      return (await value(control(leader), add, [id, port]).catch(() => "false")) === "true";
    });
  }
  await untilWhole();
  await members.all.crashAll();
  for (const id of [1, 2, 3]) await members.run(id);
  await untilWhole();
  const listed = "select node_id, is_voter from pgraft_get_nodes";
  const all = [1, 2, 3].map((node_id) => ({ node_id, is_voter: true }));
  for (const id of [1, 2, 3]) expect(await rows(control(id), listed)).toEqual(all);
});

/** Puts in entries until the server is gone; those that were acknowledged. */
async function putUntilGone(uri: string, name: string): Promise<string[]> {
  const acknowledged: string[] = [];
  const session = await open(uri, { answerMs: 8000 });
  try {
    await session.query("set pgraft.forward_writes = on");
    for (let n = 1; ; n++) {
      await session.query("select pgraft_replicate_entry($1)", [`${name} ${n}`]);
      acknowledged.push(`${name} ${n}`);
    }
  } catch {
    return acknowledged;
  } finally {
    hangUp(session);
  }
}

const entriesOf = async (id: number) =>
  (
    await rows<{ data: string }>(
      control(id),
      "select data from pg_replica.entries(max_rows => 1000000) order by index, item",
      [],
      { answerMs: 30_000 },
    )
  ).map(({ data }) => data);

test.each([1, 2, 3])(
  "all die in the middle of writes (%i), one comes back alone, then the others",
  async (turn) => {
    await untilWhole();
    const writing = Promise.all(
      [1, 2, 3].flatMap((id) =>
        [1, 2, 3].map((n) => putUntilGone(control(id), `turn ${turn} writer ${id}.${n}`)),
      ),
    );
    await until("some are in", { limitMs: 30_000 }, async () => {
      return (await entriesOf(turn)).filter((data) => data.startsWith(`turn ${turn}`)).length > 100;
    });
    await members.all.crashAll();
    const acknowledged = (await writing).flat();
    expect(acknowledged.length).toBeGreaterThan(100);

    await members.run(turn);
    await until("its store is there", { limitMs: 30_000 }, async () => {
      return (await value(control(turn), "select pgraft_get_worker_state()")) === "running";
    });
    await holds("who is alone leads nobody", { forMs: ALONE_MS, everyMs: 50 }, async () => {
      return (await value(control(turn), "select pgraft_is_leader()")) === "false";
    });
    const put = errorOf(value(control(turn), "select pgraft_kv_put('alone', 'v')"));
    expect(["RF002", "RF003"]).toContain(sqlstate(await put));

    for (const id of [1, 2, 3]) if (id !== turn) await members.run(id);
    await untilWhole();
    await until("all have the same", { limitMs: 30_000 }, async () => {
      const [one, ...others] = await Promise.all([1, 2, 3].map(entriesOf));
      return others.every((other) => JSON.stringify(other) === JSON.stringify(one));
    });
    const there = await entriesOf(turn);
    // Those whose answer never came may be there too; none is there twice.
    expect(new Set(there).size).toBe(there.length);
    expect(acknowledged.filter((data) => !there.includes(data))).toEqual([]);
  },
);

test("a removed node has no vote, and its word makes no majority", async () => {
  const leader = await untilWhole();
  const [gone = 0, partner = 0] = [1, 2, 3].filter((id) => id !== leader);
  const removal = await value(control(leader), "select pgraft_remove_node($1)", [gone], {
    answerMs: 65_000,
  });
  expect(removal).toBe("true");
  expect(sqlstate(await errorOf(value(control(partner), "select pgraft_remove_node(9)")))).toMatch(
    /^RF00[16]$/,
  );
  await untilLed(leader, partner);
  // Of the two that are left one is killed: with the removed one it would be a majority of three.
  await members.all.stop(partner);
  await until("the other leads no longer", { limitMs: 10_000 }, async () => {
    return (await value(control(leader), "select pgraft_is_leader()")) === "false";
  });
  await holds("nor again", { forMs: ALONE_MS, everyMs: 50 }, async () => {
    return (await value(control(leader), "select pgraft_is_leader()")) === "false";
  });
  await members.run(partner);
  await untilLed(leader, partner);
  expect(await value(control(leader), "select count(*)::integer from pgraft_get_nodes")).toBe("2");
});
