/** A cluster of nodes run by hand, for a test file: its founders run before the tests, members come and go in them. */
import type { ChildProcess } from "node:child_process";
import { afterAll, beforeAll, expect } from "vitest";
import { type ByHand, endWorker, type Layout, madeUpOf, prepareByHand } from "./by-hand.ts";
import { untilHealthy } from "./health.ts";
import { useKeptLogs } from "./kept-logs.ts";
import { rows, value } from "./sql.ts";
import { until } from "./until.ts";

export interface Members {
  /** Files and servers; from the first `beforeAll` on. */
  readonly all: ByHand;
  readonly workers: Map<number, ChildProcess>;
  node(id: number): ReturnType<ByHand["node"]>;
  /** URI of a control store. */
  control(id: number): string;
  present(...ids: readonly number[]): ReturnType<typeof madeUpOf>;
  run(id: number): Promise<void>;
  /** Introduced by the node `by`, and run. */
  join(id: number, by: number, options?: readonly string[]): Promise<void>;
  untilDone(kind: string, id: number, by: number): Promise<void>;
  remove(id: number, by: number, force?: boolean): Promise<void>;
  seenBy(id: number): Promise<Record<string, unknown>[]>;
}

/** What `seenBy` shows of a member that carries all it can. */
export const full = (node_id: number) => ({ node_id, voter: true, sync: true, state: "attached" });

/** All end after the file's tests, and leave their logs when one failed. */
export function useMembers(size: number, layout: Layout = {}): Members {
  let all: ByHand;
  const kept = useKeptLogs(() => [all.top]);
  const workers = new Map<number, ChildProcess>();
  const control = (id: number) => all.node(id).control.uri;
  const present = (...ids: readonly number[]) => madeUpOf(all, ids);
  const run = async (id: number) => void workers.set(id, await all.run(id));

  beforeAll(async () => {
    all = await prepareByHand(size, layout);
    const founders = Array.from({ length: layout.founders ?? size }, (_, index) => index + 1);
    for (const id of founders) {
      const { exitCode, stderr } = await all.init(id);
      expect(exitCode, stderr).toBe(0);
      await run(id);
    }
    const data = founders.filter((id) => !layout.witnesses?.includes(id));
    await untilHealthy(present(...data), 90_000);
    kept.healthy();
  }, 150_000);
  afterAll(async () => {
    await Promise.all([...workers.values()].map(endWorker));
    await all.discard(await kept.end());
  }, 60_000);

  return {
    get all() {
      return all;
    },
    workers,
    node: (id) => all.node(id),
    control,
    present,
    run,
    join: async (id, by, options = []) => {
      const { exitCode, stderr } = await all.join(id, by, options);
      expect(exitCode, stderr).toBe(0);
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
