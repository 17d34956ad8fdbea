/** A majority is lost for good: one node goes on when it is told to, and who was given up stays out. */
import type { ChildProcess } from "node:child_process";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ByHand, prepareByHand } from "../support/by-hand.ts";
import { processesBelow } from "../support/cluster.ts";
import { untilHealthy } from "../support/health.ts";
import { signalTree, untilGone } from "../support/processes.ts";
import { cli, exitOf } from "../support/programs.ts";
import { rows, value, writesThatPass } from "../support/sql.ts";
import { until } from "../support/until.ts";

let hand: ByHand;
let failed = true;
let survivor = 0;
let old = 0;
const workers = new Map<number, ChildProcess>();

beforeAll(async () => {
  hand = await prepareByHand();
  for (const { id } of hand.nodes) expect(await hand.init(id)).toMatchObject({ exitCode: 0 });
  for (const { id } of hand.nodes) workers.set(id, await hand.run(id));
  await untilHealthy(hand, 150_000);
  failed = false;
}, 240_000);

afterAll(async () => {
  await hand?.discard(failed ? "keep" : "remove");
}, 60_000);

async function killNode(id: number): Promise<void> {
  const killed = signalTree(() => processesBelow(join(hand.top, `node${id}`)), "SIGKILL");
  await untilGone(killed, 10_000);
}

test("the survivor waits until it is told, then goes on alone with every row it holds", async () => {
  failed = true;
  const { primary, standbys } = await untilHealthy(hand);
  const other = standbys[1] ?? 0;
  survivor = standbys[0] ?? 0;
  old = primary;
  await rows(hand.node(primary).data.uri, "create table kept (n integer)");
  await rows(hand.node(primary).data.uri, "insert into kept select generate_series(1, 100)");
  await until("the survivor has replayed them", { limitMs: 10_000 }, async () => {
    return (await value(hand.node(survivor).data.uri, "select count(*) from kept")) === "100";
  });
  await killNode(primary);
  await killNode(other);

  // Wiped and made again, a majority of stores still is no cluster: init refuses where an earlier life was (H56).
  await rm(hand.node(other).control.dir, { recursive: true });
  await rm(join(hand.top, `node${other}`, "identity.json"));
  expect((await hand.init(other)).stderr).toMatch(/data is not empty/);

  const { control, data } = hand.node(survivor);
  await until("nobody leads", { limitMs: 15_000 }, async () => {
    return (await value(control.uri, "select has_quorum from pg_replica.cluster()")) === "false";
  });
  expect(await writesThatPass(data.uri, "insert into kept values (0)")).toEqual([]);

  const config = ["--config", hand.configOf(survivor)];
  const unforced = await cli(["recover", "--reason", "fire", ...config], { limitMs: 20_000 });
  expect(unforced.exitCode).toBe(1);
  expect(unforced.stderr).toMatch(/gives up every other member/);
  const told = await cli(["recover", "--force", "--reason", "fire", ...config], {
    limitMs: 20_000,
  });
  expect(told, told.stderr).toMatchObject({ exitCode: 0 });

  await until("it takes writes", { limitMs: 30_000 }, async () => {
    return (await value(control.uri, "select writable from pg_replica.cluster()")) === "true";
  });
  await rows(data.uri, "insert into kept values (101)");
  expect(await value(data.uri, "select count(*) from kept")).toBe("101");
  const [row] = await rows(control.uri, "select * from pg_replica.cluster()");
  expect(row).toMatchObject({ members: 1, primary_id: survivor, leader_id: survivor });
  const [event] = await rows(
    control.uri,
    "select * from pg_replica.events(0, 10000) where event = 'cluster_recovered'",
  );
  expect(event?.reason).toMatch(/fire; excluded: /);
  await until("the request is done", { limitMs: 10_000 }, async () => {
    const [request] = await rows(
      control.uri,
      "select * from pg_replica.requests() where kind = 'recover'",
    );
    return request?.state === "done";
  });
  failed = false;
}, 240_000);

test("who was given up comes back, is refused, and takes no write", async () => {
  failed = true;
  const child = await hand.run(old);
  workers.set(old, child);
  const { control, data } = hand.node(old);
  await until("its control store answers", { limitMs: 30_000 }, async () => {
    return (await value(control.uri, "select 1")) === "1";
  });
  // Time enough for an election, had it a say.
  await new Promise((resolve) => setTimeout(resolve, 6000));
  expect(await writesThatPass(data.uri, "insert into kept values (-1)")).toEqual([]);
  const { uri } = hand.node(survivor).data;
  await rows(uri, "insert into kept values (102)");
  expect(await value(uri, "select count(*) from kept where n < 0")).toBe("0");
  child.kill("SIGTERM");
  await exitOf(child);
  failed = false;
}, 120_000);
