/** The pgraft interface on whole nodes: members come by its calls, what it tells is so, and leadership moves. */
import type { ChildProcess } from "node:child_process";
import { appendFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, test, vi } from "vitest";
import { endWorker } from "../support/by-hand.ts";
import { untilHealthy } from "../support/health.ts";
import { useMembers } from "../support/members.ts";
import { cli } from "../support/programs.ts";
import { errorOf, rows, sqlstate, value } from "../support/sql.ts";
import { until } from "../support/until.ts";

vi.setConfig({ testTimeout: 150_000 });

const members = useMembers(3, { founders: 1 });

const { control, present } = members;
const data = (id: number) => members.all.node(id).data.uri;
const everywhere = [1, 2, 3].flatMap((id) => [() => control(id), () => data(id)]);
const add = (by: string, id: number) =>
  value(by, "select pgraft_add_node($1, '127.0.0.1', $2)", [id, members.all.node(id).control.port]);

/** The primary is there, so the leader is soon, wherever a machine that stood still has put it. */
const untilNode1Leads = () =>
  until("node 1 leads", { limitMs: 30_000 }, async () => {
    return (await value(control(1), "select pgraft_is_leader()")) === "true";
  });
beforeEach(untilNode1Leads);

test("nodes join by pgraft_add_node, which is true once they vote", async () => {
  expect(sqlstate(await errorOf(add(control(1), 2)))).toBe("RF006");
  for (const id of [2, 3]) await members.join(id, 1);
  // Many at once: each is done or refused by name, and one change of the members is made after the other.
  const outcomes = await Promise.all(
    Array.from({ length: 20 }, (_, at) =>
      add(control(1), 2 + (at % 2)).catch((error: unknown) => sqlstate(error as Error)),
    ),
  );
  for (const outcome of outcomes) expect(["true", "RF006", "RF007", "RF008"]).toContain(outcome);
  for (const id of [2, 3]) {
    // Until it answers and has caught up, the call says so, and goes on when it is made again.
    await until(`node ${id} is added`, { limitMs: 60_000 }, async () => {
      const outcome = await add(control(1), id).catch((error: unknown) => sqlstate(error as Error));
      expect(["true", "RF006", "RF007"]).toContain(outcome);
      return outcome === "true";
    });
  }
  await untilHealthy(present(1, 2, 3), 60_000);
  await untilNode1Leads();
  expect(sqlstate(await errorOf(add(data(2), 3)))).toBe("RF001");
  const listed = "select node_id, address, port, is_leader, name, is_voter from pgraft_get_nodes";
  const seen = await rows(control(1), listed);
  expect(seen.map(({ is_voter }) => is_voter)).toEqual([true, true, true]);
  for (const uri of everywhere) expect(await rows(uri(), listed)).toEqual(seen);
});

test("every node tells the same of all, and its self-test finds nothing", async () => {
  await value(control(1), "select pgraft_replicate_entry('moves')");
  const status = "select state from pgraft_get_cluster_status()";
  await until("all are heard of everywhere", { limitMs: 10_000 }, async () => {
    const seen = await Promise.all(everywhere.map((uri) => rows(uri(), status)));
    const good = JSON.stringify([
      { state: "Leader" },
      { state: "Follower" },
      { state: "Follower" },
    ]);
    return seen.every((one) => JSON.stringify(one) === good);
  });
  for (const uri of everywhere) {
    expect(await value(uri(), "select pgraft_get_worker_state()")).toBe("running");
    expect(await value(uri(), "select pgraft_test()")).toBe("true");
    expect(await value(uri(), "select pgraft_init()")).toBe("true");
  }
  const [own] = await rows(control(1), "select * from pgraft_get_cluster_status() where is_self");
  expect(Number(own?.heartbeats_sent)).toBeGreaterThan(10);
  expect(Number(own?.messages_processed)).toBeGreaterThan(10);
  expect(Number(own?.elections_triggered)).toBeGreaterThan(0);
  expect(Number(own?.last_heartbeat_ms)).toBeLessThan(1000);
  const matches = "select node_id, state, lag_entries from pgraft_log_get_replication_status()";
  await until("both followers hold everything", { limitMs: 5000 }, async () => {
    const now = JSON.stringify(await rows(control(1), matches));
    const one = (id: number) => ({ node_id: id, state: "replicate", lag_entries: "0" });
    return now === JSON.stringify([one(2), one(3)]);
  });
  expect(await rows(control(2), matches)).toEqual([]);
});

test("idle, nothing is appended; a worker that is gone is told stopped, and no leader", async () => {
  const last = "select last_index from pgraft_log_get_stats()";
  const before = await value(control(1), last);
  const worker = members.workers.get(3) as ChildProcess;
  worker.kill("SIGSTOP");
  await until("its silence shows", { limitMs: 5000 }, async () => {
    const state = await value(control(3), "select pgraft_get_worker_state()");
    const leader = await value(control(3), "select pgraft_get_leader()");
    return state === "stopped" && leader === "0";
  });
  worker.kill("SIGCONT");
  await untilHealthy(present(1, 2, 3), 30_000);
  const after = await rows(control(1), "select kind, data from pgraft_log_get_entries($1)", [
    Number(before) + 1,
  ]);
  // What the cluster decided meanwhile is there; heartbeats are not.
  expect(after.filter(({ kind }) => kind === "noop" || kind === "user")).toEqual([]);
  expect(after.length).toBeLessThan(10);
});

test("debug is on within a second, and leadership moves on demand", async () => {
  expect(await value(data(1), "select pgraft_set_debug(true)")).toBe("true");
  await until("the worker logs at debug", { limitMs: 2000 }, async () => {
    return (await readFile(join(members.all.top, "run1.log"), "utf8")).includes(
      '"worker.debugging"',
    );
  });
  const term = Number(await value(control(1), "select pgraft_get_term()"));
  expect(await value(control(1), "select pgraft_transfer_leadership(2)")).toBe("true");
  expect(Number(await value(control(1), "select pgraft_get_term()"))).toBeGreaterThan(term);
  const forwarded = "set pgraft.forward_writes = on; select pgraft_transfer_leadership(1)";
  await until("it is back on the primary's node", { limitMs: 20_000 }, async () => {
    // By itself, or by order.
    await value(control(3), forwarded).catch((error: unknown) => sqlstate(error as Error));
    return (await value(control(1), "select pgraft_is_leader()")) === "true";
  });
  await untilHealthy(present(1, 2, 3), 30_000);
});

test("a second worker of the same node refuses to start", async () => {
  const { exitCode, stderr } = await cli([
    "run",
    "--config",
    join(members.all.top, "node1/node.yaml"),
  ]);
  expect(exitCode).toBe(1);
  expect(stderr).toContain("worker.pid");
  expect(await value(control(1), "select pgraft_get_worker_state()")).toBe("running");
});

test("a member leaves, and what is left goes on", async () => {
  const remove = "select pgraft_remove_node(3)";
  expect(sqlstate(await errorOf(value(control(2), remove)))).toBe("RF001");
  const { leader } = await untilHealthy(present(1, 2, 3));
  expect(await value(control(leader), remove, [], { answerMs: 65_000 })).toBe("true");
  expect(await rows(control(1), "select node_id from pgraft_get_nodes")).toEqual([
    { node_id: 1 },
    { node_id: 2 },
  ]);
  expect(sqlstate(await errorOf(value(control(leader), remove)))).toBe("RF006");
});

test("a worker refuses a setting pgraft.* that nobody knows, by name", async () => {
  const worker = members.workers.get(2) as ChildProcess;
  await endWorker(worker);
  await appendFile(
    join(members.all.top, "node2/control/postgresql.conf"),
    "\npgraft.no_such = 1\n",
  );
  const { exitCode, stderr } = await cli([
    "run",
    "--config",
    join(members.all.top, "node2/node.yaml"),
  ]);
  expect(exitCode).toBe(1);
  expect(stderr).toContain("pgraft: unknown setting pgraft.no_such");
  const refused = await errorOf(value(control(2), "select pgraft_init()"));
  expect(sqlstate(refused)).toBe("22023");
});
