/** Applied again, later and at once, the same log leaves the same rows, to the last column: times and reasons too. */
import { expect, test } from "vitest";
import type { Entry } from "../../src/db/raft.ts";
import { Random } from "../support/random.ts";
import { AnyOrder } from "./any-order.ts";
import { senderOf } from "./store.ts";
import { Twins } from "./twins.ts";
import { useStore } from "./use-store.ts";

const store = useStore();

/** What a seed of calls in any order leaves as committed. */
async function committedBy(seed: number): Promise<readonly Entry[]> {
  const twins = await Twins.fresh(store());
  await new AnyOrder(new Random(seed), twins, { wholeLog: true }).run(120);
  return twins.acceptor.log.slice(0, Number(twins.acceptor.state.appliedIndex));
}

async function applied(entries: readonly Entry[]): Promise<string> {
  await store().reset();
  const commit = BigInt(entries.length);
  const term = entries.at(-1)?.term ?? 1n;
  const ask = { term, prevIndex: 0n, prevTerm: 0n, entries: [...entries], commit };
  const { applied_index } = await store().appendEntries(senderOf(2), ask);
  expect(applied_index).toBe(commit);
  const { state_hash } = await store().contents();
  return state_hash;
}

test("R5: a log says all there is to know of the state (H62)", { timeout: 120_000 }, async () => {
  let most = 0;
  for (const seed of [1, 2, 3, 4, 5, 6]) {
    const entries = await committedBy(seed);
    most = Math.max(most, entries.length);
    expect(await applied(entries), `seed ${seed}`).toBe(await applied(entries));
  }
  expect(most).toBeGreaterThan(20);
});
