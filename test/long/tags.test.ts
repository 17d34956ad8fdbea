/** What an operator wants of single members, in force: two with data, a witness, and one without a vote. */
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, test, vi } from "vitest";
import { processesBelow } from "../support/cluster.ts";
import { clusterRow, onPrimary, primaries, status } from "../support/health.ts";
import { useMembers } from "../support/members.ts";
import { signalTree, untilGone } from "../support/processes.ts";
import { rows, value } from "../support/sql.ts";
import { holds, until } from "../support/until.ts";
import { createWriterTable, startWriter } from "../support/writer.ts";

vi.setConfig({ testTimeout: 150_000 });

const WITNESS = 3;
/** It joins without a vote. */
const MUTE = 4;
const DATA = [1, 2, MUTE] as const;
const members = useMembers(4, { founders: 1, witnesses: [WITNESS] });
const { control, present } = members;
const node = (id: number) => members.node(id);

async function set(id: number, what: string): Promise<void> {
  const text = `select pg_replica.set_node($1::integer, ${what})`;
  expect(await value(control(WITNESS), text, [id])).toBe("true");
}

async function synchronous(): Promise<number[]> {
  const [row] = await onPrimary<{ names: string }>(
    present(...DATA),
    "select current_setting('synchronous_standby_names') as names",
  );
  return [...(row?.names ?? "").matchAll(/pgr_(\d+)_/g)].map(([, id]) => Number(id)).sort();
}

async function untilSynchronous(...ids: readonly number[]): Promise<void> {
  await until(`commits count ${ids}`, { limitMs: 30_000 }, async () => {
    return (await synchronous()).join() === ids.join();
  });
}

/** The data server alone, at once. */
async function killData(id: number): Promise<void> {
  const file = await readFile(join(node(id).data.dir, "postmaster.pid"), "utf8");
  process.kill(Number(file.split("\n")[0]), "SIGKILL");
}

/** The whole node. */
async function kill(id: number): Promise<void> {
  const killed = signalTree(() => processesBelow(dirname(node(id).data.dir)), "SIGKILL");
  await untilGone(killed, 10_000);
}

/** One primary and both others streaming; who counts for commits is the test's. */
async function untilWhole(): Promise<{ readonly primary: number; readonly standbys: number[] }> {
  return await until("all stream", { limitMs: 60_000 }, async () => {
    const all = await status(members.all);
    const primary = all.find(({ role, writable }) => role === "primary" && writable)?.node_id;
    const standbys = all.filter(({ state }) => state === "streaming").map((one) => one.node_id);
    return primary !== undefined && standbys.length === DATA.length - 1 && { primary, standbys };
  });
}

test("--no-vote: it copies the data, streams and counts for commits, and never votes", async () => {
  for (const id of [2, WITNESS]) {
    await members.join(id, 1);
    await members.untilDone("add_node", id, 1);
  }
  await members.join(MUTE, 1, ["--no-vote"]);
  await members.untilDone("add_node", MUTE, 1);
  await untilSynchronous(...DATA);
  const text = "select voter, state, promotable from pg_replica.members() where node_id = $1";
  expect(await rows(control(MUTE), text, [MUTE])).toEqual([
    { voter: false, state: "attached", promotable: true },
  ]);
  const roles = new Map((await status(members.all)).map((one) => [one.node_id, one.raft_role]));
  expect(roles.get(MUTE)).toBe("learner");
});

test("sync => false: its confirmation counts no more, and a failover loses nothing", async () => {
  const { primary, standbys } = await untilWhole();
  await set(MUTE, "sync => false");
  await untilSynchronous(1, 2);
  await createWriterTable(node(primary).data.uri);
  const writer = startWriter({ hosts: DATA.map((id) => node(id).data.uri), everyMs: 5 });
  await writer.untilAcknowledged(200, 20_000);
  await killData(primary);
  await writer.untilAcknowledged(200, 20_000);
  await writer.stop();
  const after = await untilWhole();
  expect(standbys.filter((id) => id !== MUTE)).toContain(after.primary);
  for (const id of DATA) {
    expect(await writer.check(node(id).data.uri)).toMatchObject({ lost: [], invented: [] });
  }
  await set(MUTE, "sync => true");
  await untilSynchronous(...DATA);
});

test("priority: of two that hold the same WAL the higher one is promoted, though it votes for nobody", async () => {
  await set(MUTE, "priority => 200");
  const { primary } = await untilWhole();
  await killData(primary);
  await until("it is primary", { limitMs: 20_000 }, async () => {
    return (await primaries(present(...DATA))).join() === String(MUTE);
  });
  await set(MUTE, "priority => 100");
  await untilWhole();
});

test("promotable => false: the only ones left with data are not promoted, and it says why", async () => {
  const { primary, standbys } = await untilWhole();
  for (const id of standbys) await set(id, "promotable => false");
  await untilSynchronous();
  await kill(primary);
  const left = present(...standbys, WITNESS);
  // Who may not be promoted counts for no commit either: only the lost one can say how far its WAL reaches.
  const why = `1 more report is needed of node${primary}`;
  await until("it says why nobody takes over", { limitMs: 20_000 }, async () => {
    const { failover, failover_reason } = await clusterRow(left);
    return failover === "blocked" && failover_reason.endsWith(why);
  });
  // Longer than any failover takes.
  await holds("nobody takes over", { forMs: 5000 }, async () => {
    return (await primaries(present(...standbys))).length === 0;
  });
  await members.run(primary);
  expect((await untilWhole()).primary).toBe(primary);
  for (const id of standbys) await set(id, "promotable => true");
  await untilSynchronous(...DATA);
});
