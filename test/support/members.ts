/** A cluster of nodes run by hand, whose members come and go during a test file. */
import type { ChildProcess } from "node:child_process";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { type ByHand, endWorker, madeUpOf, prepareByHand } from "./by-hand.ts";
import type { NodeEntry } from "./cluster.ts";
import { untilHealthy } from "./health.ts";
import { rows, value } from "./sql.ts";
import { until } from "./until.ts";

export interface Members {
  node(id: number): NodeEntry;
  present(...ids: readonly number[]): ReturnType<typeof madeUpOf>;
  /** URI of a control store. */
  control(id: number): string;
  /** Introduced by the node `by`, and run. */
  join(id: number, by: number, options?: readonly string[]): Promise<void>;
  untilDone(kind: string, id: number, by: number): Promise<void>;
  remove(id: number, by: number, force?: boolean): Promise<void>;
  seenBy(id: number): Promise<Record<string, unknown>[]>;
}

/** What `seenBy` shows of a member that carries all it can. */
export const full = (node_id: number) => ({ node_id, voter: true, sync: true, state: "attached" });

/** Node 1 founds the cluster before the file's tests; all end after them, and leave their logs when one failed. */
export function useMembers(count: number, witnesses: readonly number[]): Members {
  let all: ByHand;
  let failed = false;
  const workers = new Map<number, ChildProcess>();
  const run = async (id: number) => void workers.set(id, await all.run(id));
  const control = (id: number) => all.node(id).control.uri;
  const present = (...ids: readonly number[]) => madeUpOf(all, ids);

  beforeAll(async () => {
    all = await prepareByHand(count, { founders: 1, witnesses });
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

  return {
    node: (id) => all.node(id),
    present,
    control,
    join: async (id, by, options = []) => {
      const { exitCode, stderr } = await all.join(id, by, options);
      expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
      await run(id);
    },
    untilDone: async (kind, id, by) => {
      const text = `select state from pg_replica.requests()
                     where kind = $1 and coalesce(to_node, from_node) = $2 limit 1`;
      await until(`${kind} of node ${id} is done`, { limitMs: 60_000 }, async () => {
        return (await value(control(by), text, [kind, id])) === "done";
      });
    },
    remove: async (id, by, force = false) => {
      const text = "select pg_replica.remove_node($1::integer, $2)";
      expect(await value(control(by), text, [id, force], { answerMs: 65_000 })).toBe("true");
    },
    seenBy: (id) =>
      rows(control(id), "select node_id, voter, sync, state from pg_replica.members()"),
  };
}
