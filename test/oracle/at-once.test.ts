/** What users put into the log is applied at once, and leaves what it leaves one by one: raft.apply_entries. */
import { expect, test } from "vitest";
import type { Append } from "../../src/db/peer.ts";
import type { Entry } from "../../src/db/raft.ts";
import { Random } from "../support/random.ts";
import { senderOf } from "./store.ts";
import { Twins } from "./twins.ts";
import { useStore } from "./use-store.ts";

type Proposal = Omit<Entry, "index" | "term">;

const store = useStore();

const TERM = 7n;
const AT = "2026-01-01T00:00:00Z";
const CLIENT = "00000000-0000-4000-8000-00000000c11e";

/** Behind the entry at `prevIndex`, and committed at once. */
function appendOf(proposals: readonly Proposal[], prevIndex: bigint): Append {
  const entries = proposals.map((one, place) => {
    return { ...one, index: prevIndex + BigInt(place + 1), term: TERM };
  });
  const prevTerm = prevIndex === 0n ? 0n : TERM;
  return { term: TERM, prevIndex, prevTerm, entries, commit: prevIndex + BigInt(entries.length) };
}

function entry(sequence: bigint, data: unknown, more: Record<string, unknown> = {}): Proposal {
  return { kind: "entry", client: CLIENT, sequence, body: { at: AT, asked: 1, data, ...more } };
}

/** New ones, batches, retries of some that are near, and what a term or a late retry refuses. */
function randomEntry(random: Random): Proposal {
  const data = Array.from({ length: random.int(1, 3) }, () => random.pick(["", "a", "ü\n", "{}"]));
  return entry(BigInt(random.int(1, 60)), data, {
    term: random.chance(0.2) ? random.int(6, 7) : null,
    ...(random.chance(0.5) ? { since: String(random.int(0, 12)) } : {}),
    ...(random.chance(0.5) ? { request_id: `r${random.int(1, 9)}` } : {}),
  });
}

function forget(proposals: number): Proposal {
  const body = { at: AT, entries: "2", proposals: String(proposals), events: "0", requests: "0" };
  return { kind: "forget", client: CLIENT, sequence: 1000n + BigInt(proposals), body };
}

test("R5, R10: the twin, which applies one by one, agrees after every run", {
  timeout: 120_000,
}, async () => {
  for (let seed = 1; seed <= 12; seed += 1) {
    const [random, twins] = [new Random(seed), await Twins.fresh(store())];
    let end = 0n;
    for (let run = 0; run < 6; run += 1) {
      const proposals =
        run === 3
          ? [forget(8)]
          : Array.from({ length: random.int(2, 12) }, () => randomEntry(random));
      const ask = appendOf(proposals, end);
      end += BigInt(proposals.length);
      await twins.call(`seed ${seed}, run ${run}`, (node) => node.appendEntries(senderOf(2), ask));
    }
    expect(twins.acceptor.state.appliedIndex, `seed ${seed}`).toBe(end);
  }
});

test("a long time's entries are applied some at a time, whatever they are, and their twin agrees", {
  timeout: 60_000,
}, async () => {
  const twins = await Twins.fresh(store());
  const COUNT = 1100n;
  const all = Array.from({ length: Number(COUNT) }, (_, place) => entry(BigInt(place + 1), ["x"]));
  // One that is no user's has the rest applied one by one.
  all[1050] = forget(8);
  for (let prev = 0n; prev < COUNT; prev += 500n) {
    const next = all.slice(Number(prev), Number(prev) + 500);
    const last = prev + 500n >= COUNT;
    const ask = { ...appendOf(next, prev), commit: last ? COUNT : 0n };
    await twins.call(`from ${prev}`, (node) => node.appendEntries(senderOf(2), ask));
  }
  expect(await store().snapshot()).toMatchObject({ applied_index: "1024", commit_index: "1100" });
  const { rows } = await store().client.query("select raft.apply_again() as more");
  expect(rows).toEqual([{ more: false }]);
  expect(await store().snapshot()).toMatchObject({ applied_index: "1100", alarm: null });
});

test("one that cannot be applied stops the log there, as if each had come alone", async () => {
  await store().reset();
  const run = [entry(1n, ["a"]), entry(2n, ["b"]), entry(3n, "no list"), entry(4n, ["d"])];
  await store().appendEntries(senderOf(2), appendOf(run, 0n));
  const { applied_index, commit_index, alarm } = await store().snapshot();
  expect({ applied_index, commit_index }).toEqual({ applied_index: "2", commit_index: "4" });
  expect(alarm).toMatch(/^entry 3 \(entry\) cannot be applied: /);
  const { entries, proposals } = await store().clusterRows();
  expect([entries.length, proposals.length]).toEqual([2, 2]);

  await store().sql("select raft.apply_again()");
  expect(await store().snapshot()).toMatchObject({ applied_index: "2", alarm });
  expect(await store().takeLead(senderOf(2), TERM)).toBe(false);
  await store().sql('update raft.log set body = body || \'{"data": ["c"]}\' where index = 3');
  await store().sql("select raft.apply_again()");
  const after = await store().snapshot();
  expect(after).toMatchObject({ applied_index: "4", commit_index: "4", alarm: null });
  expect(await store().takeLead(senderOf(2), TERM)).toBe(true);
});

test("the newest place rings for all that were applied at once", async () => {
  await store().reset();
  const heard: (string | undefined)[] = [];
  const hear = ({ payload }: { payload?: string | undefined }) => heard.push(payload);
  store().client.on("notification", hear);
  try {
    await store().sql("listen pg_replica_entry");
    const run = [entry(1n, ["a"]), entry(2n, ["b", "c"]), entry(3n, ["d"], { term: 6 })];
    await store().appendEntries(senderOf(2), appendOf(run, 0n));
    await store().sql("unlisten pg_replica_entry");
  } finally {
    store().client.off("notification", hear);
  }
  expect(heard).toEqual(['{"index": 2, "items": 2}']);
});
