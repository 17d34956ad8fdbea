/** A snapshot is all there is: every table of the state, every promise that goes with it, whole or not at all (R11). */
import { beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { callMany } from "../../src/db/call.ts";
import type { SnapshotPart } from "../../src/db/peer.ts";
import type { Entry } from "../../src/db/raft.ts";
import { incarnationOf, senderOf } from "./store.ts";
import { useStore } from "./use-store.ts";

const store = useStore();
beforeEach(() => store().reset());

const AT = "2026-01-01T00:00:00Z";
/** Together they leave a row in every table of the state; a new table needs one more. */
const COMMANDS: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
  ["noop", { node_id: 1 }],
  ["register", { node_id: 3, incarnation: incarnationOf(3), pg_version: "18" }],
  ["readmit", { node_id: 3, incarnation: incarnationOf(9), replaces: incarnationOf(3) }],
  ["found", { node_id: 1, system_identifier: "7000000000000000001", mode: "quorum" }],
  ["entry", { data: ["one", "zwö \\ \" '"], asked: 1, request_id: "r" }],
  ["kv_set", { key: "k", value: "v" }],
  ["set", { name: "kept_events", value: "1000", by: "op" }],
  ["open_epoch", { epoch: "2", cause: "node_gone", reason: "gone" }],
  ["recover", { node_id: 1, key: incarnationOf(8), by: "op", reason: "fire", lost_bytes: 7 }],
];

function entries(): Entry[] {
  return COMMANDS.map(([kind, body], at) => {
    const client = `00000000-0000-4000-8000-00000000000${at}`;
    return {
      index: BigInt(at + 1),
      term: 1n,
      kind,
      client,
      sequence: 1n,
      body: { at: AT, ...body },
    };
  });
}

async function fill(target = store()): Promise<void> {
  const ask = { term: 1n, prevIndex: 0n, prevTerm: 0n, entries: entries(), commit: 99n };
  const { applied_index } = await target.appendEntries(senderOf(1), ask);
  expect(applied_index).toBe(BigInt(COMMANDS.length));
}

const Name = z.object({ name: z.string() });
const names = async (text: string) =>
  (await callMany(store().client, Name, { text })).map(({ name }) => name).sort();

/** In parts so small that there are several. */
async function take(): Promise<SnapshotPart[]> {
  const taken = await store().takeSnapshot(700);
  const parts: SnapshotPart[] = [];
  for (let part = 1; part <= taken.parts; part += 1) {
    const rows = (await store().snapshotPart(taken.id, part)) ?? "";
    parts.push({ ...taken, leaderTerm: 3n, part, rows });
  }
  expect(parts.length).toBeGreaterThan(2);
  return parts;
}

test("every table of the state is in the list, and none is empty here", async () => {
  await fill();
  const tables = await names(
    "select relname as name from pg_class where relnamespace = 'cluster'::regnamespace and relkind = 'r'",
  );
  expect(await names("select distinct of_table as name from cluster.state_row")).toEqual(tables);
});

test("who was wiped and is served one has every row, and every promise", async () => {
  await fill();
  const before = await store().contents();
  const parts = await take();
  await store().reset();
  expect((await store().contents()).state_hash).not.toBe(before.state_hash);
  for (const part of parts.slice(0, -1)) {
    expect(await store().installSnapshot(senderOf(1), part)).toMatchObject({ reason: "waiting" });
  }
  const last = parts.at(-1) as SnapshotPart;
  const index = BigInt(COMMANDS.length);
  expect(await store().installSnapshot(senderOf(1), last)).toMatchObject({
    reason: "installed",
    last_index: index,
    applied_index: index,
  });
  const after = await store().contents();
  expect(after.state_hash).toBe(before.state_hash);
  expect(after.snapshot).toMatchObject({
    pledge: "3",
    commit_index: `${index}`,
    last_index: `${index}`,
    last_term: "1",
    log_hash: before.snapshot.log_hash,
    arrived: 0,
  });
  // The log goes on behind it, and a vote looks at its end (R4).
  const next = { term: 3n, prevIndex: index, prevTerm: 1n, entries: [], commit: index };
  expect(await store().appendEntries(senderOf(1), next)).toMatchObject({ reason: "appended" });
  const ask = { term: 9n, lastTerm: 1n, counter: undefined, transfer: true };
  const short = { ...ask, lastIndex: index - 1n };
  expect((await store().requestVote(senderOf(1), short)).reason).toBe("log_behind");
  const equal = { ...ask, lastIndex: index };
  expect((await store().requestVote(senderOf(1), equal)).reason).toBe("granted");
});

test("parts change nothing before all are there, nor when the store dies in the last", async () => {
  await fill();
  const parts = await take();
  await store().reset();
  const before = await store().contents();
  const last = parts.at(-1) as SnapshotPart;
  for (const part of parts.slice(0, -1)) await store().installSnapshot(senderOf(1), part);
  expect((await store().contents()).state_hash).toBe(before.state_hash);
  await store().undone(() => store().installSnapshot(senderOf(1), last));
  await store().crash();
  const after = await store().contents();
  expect(after.state_hash).toBe(before.state_hash);
  expect(after.snapshot).toMatchObject({ applied_index: "0", pledge: "0", arrived: 0 });
  // What was there is forgotten: it begins again.
  expect(await store().installSnapshot(senderOf(1), last)).toMatchObject({ next_part: 1 });
});

test("a table that this version does not know is not left out in silence", async () => {
  await fill();
  const [first] = await take();
  await store().reset();
  const rows = JSON.stringify({ tomorrow: [{ a: 1 }] });
  const ask = { ...(first as SnapshotPart), parts: 1, rows };
  await expect(store().installSnapshot(senderOf(1), ask)).rejects.toThrow(/tomorrow/);
});

test("more than is applied is never forgotten, and bytes bound the log as entries do", async () => {
  const ask = { term: 1n, prevIndex: 0n, prevTerm: 0n, entries: entries().slice(0, 6), commit: 4n };
  await store().appendEntries(senderOf(1), ask);
  expect(await store().compact(0)).toBe(true);
  expect((await store().snapshot()).snapshot_index).toBe("4");
  expect(await store().compact(0)).toBe(false);
  await store().reset();
  await store().appendEntries(senderOf(1), { ...ask, commit: 6n });
  const { size } = (
    await store().client.query(
      "select sum(pg_column_size(body))::int as size from raft.log where index > 4",
    )
  ).rows[0];
  await store().client.query("select raft.compact(1000, $1)", [size]);
  expect((await store().snapshot()).snapshot_index).toBe("4");
});
