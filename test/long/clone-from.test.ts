/** Whoever needs a copy of the data takes it from a standby named for it, and nothing acknowledged is lost by that. */
import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { monotonicClock } from "../../src/clock/clock.ts";
import { processesBelow } from "../support/cluster.ts";
import { onPrimary, untilHealthy } from "../support/health.ts";
import { useMembers } from "../support/members.ts";
import { readProcess, signalAtOnce, signalTree, untilFrozen } from "../support/processes.ts";
import { errorOf, hangUp, open, rows, value } from "../support/sql.ts";
import { until } from "../support/until.ts";
import { createWriterTable, startWriter } from "../support/writer.ts";

vi.setConfig({ testTimeout: 150_000 });

const NEW = 4;
const members = useMembers(NEW, { founders: 3 });
const { control, present } = members;
const node = (id: number) => members.node(id);

/** The role stays where it is in this file: whoever is primary, and the standby named as the source. */
let primary: number;
let source: number;

async function backups(id: number): Promise<number[]> {
  const found = await rows<{ pid: number }>(
    node(id).data.uri,
    "select pid from pg_stat_progress_basebackup",
  );
  return found.map(({ pid }) => pid);
}

/** Looks at a server until it is told to stop: the walsenders that sent a base backup. */
function watchBackups(id: number): { stop(): Promise<ReadonlySet<number>> } {
  const seen = new Set<number>();
  let stopping = false;
  const watching = (async () => {
    const client = await open(node(id).data.uri);
    while (!stopping) {
      const found = await client.query("select pid from pg_stat_progress_basebackup");
      for (const { pid } of found.rows) seen.add(pid);
      await monotonicClock.sleep(5);
    }
    hangUp(client);
  })();
  const stop = async () => {
    stopping = true;
    await watching;
    return seen;
  };
  onTestFinished(async () => void (await stop()));
  return { stop };
}

/** How node 4 came to its data, last. */
async function lastCopy() {
  const text = `select reason, detail ->> 'source' as source, detail ->> 'passed_over' as passed_over
                  from pg_replica.events(0, 1000000)
                 where event = 'cloned' and node_id = $1 order by event_id desc limit 1`;
  const [row] = await rows(control(primary), text, [NEW]);
  return row;
}

async function untilStreaming(id: number): Promise<void> {
  const text = `select count(*) from pg_stat_replication
                 where application_name like $1 and state = 'streaming'`;
  await until(`node ${id} streams from the primary`, { limitMs: 60_000 }, async () => {
    return (await value(node(primary).data.uri, text, [`pgr\\_${id}\\_%`])) === "1";
  });
}

test("an operator names a standby as the source, and every member knows", async () => {
  const healthy = await untilHealthy(present(1, 2, 3));
  primary = healthy.primary;
  source = healthy.standbys[0] as number;
  const text = "select pg_replica.set_node($1::integer, clone_from => true)";
  expect(await errorOf(rows(control(primary), text, [9]))).toMatchObject({ code: "RF006" });
  expect(await value(node(source).data.uri, text, [source])).toBe("true");
  await until("everybody knows", { limitMs: 5000 }, async () => {
    const named = "select node_id from pg_replica.members where clone_from";
    const said = await Promise.all([1, 2, 3].map((id) => rows(node(id).data.uri, named)));
    return said.every((one) => one.length === 1 && one[0]?.node_id === source);
  });
});

test("a fourth node copies the standby while rows are written, and streams from the primary", async () => {
  await createWriterTable(node(primary).data.uri);
  const filler =
    "create table filler as select repeat('x', 900) as f from generate_series(1, 50000)";
  await onPrimary(present(1, 2, 3), filler);
  const writer = startWriter({ hosts: [node(primary).data.uri], everyMs: 2 });
  await writer.untilAcknowledged(200, 20_000);
  const atSource = watchBackups(source);
  const atPrimary = watchBackups(primary);
  await members.join(NEW, primary);
  await members.untilDone("add_node", NEW, primary);
  await untilStreaming(NEW);
  await writer.untilAcknowledged(200, 20_000);
  await writer.stop();
  expect((await atSource.stop()).size).toBe(1);
  expect((await atPrimary.stop()).size).toBe(0);
  expect(await lastCopy()).toMatchObject({ source: `${source}`, passed_over: null });
  for (const id of [primary, NEW]) {
    const held = await until(`node ${id} holds every row`, { limitMs: 10_000 }, async () => {
      const checked = await writer.check(node(id).data.uri);
      return checked.lost.length === 0 && checked;
    });
    expect(held.invented).toEqual([]);
  }
});

test("the standby dies while it is copied: the primary is copied instead", async () => {
  expect((await members.all.stop(NEW)).exitCode).toBe(0);
  await rm(node(NEW).data.dir, { recursive: true });
  const writer = startWriter({ hosts: [node(primary).data.uri], writer: 2, everyMs: 2 });
  await writer.untilAcknowledged(200, 20_000);
  await members.run(NEW);
  const pid = await until("the backup has begun", { limitMs: 60_000, everyMs: 5 }, async () => {
    return (await backups(source))[0];
  });
  // Held where it is, so that it is surely under way when its node dies.
  const sender = readProcess(pid);
  if (sender === undefined) throw new Error("the walsender has ended before it could be held");
  signalAtOnce([sender], "SIGSTOP");
  await untilFrozen([sender], 2000);
  signalTree(() => processesBelow(dirname(node(source).data.dir)), "SIGKILL");
  await untilStreaming(NEW);
  const copied = await lastCopy();
  expect(copied).toMatchObject({ source: `${primary}` });
  expect(copied?.passed_over).toMatch(new RegExp(`^node ${source}: base backup of .* failed`));
  // Two of four are needed besides the primary, and there are two again.
  await writer.untilAcknowledged(200, 20_000);
  await writer.stop();
  await until("node 4 holds every row", { limitMs: 10_000 }, async () => {
    return (await writer.check(node(NEW).data.uri)).lost.length === 0;
  });
  await members.run(source);
  await untilHealthy(present(1, 2, 3, NEW), 60_000);
});
