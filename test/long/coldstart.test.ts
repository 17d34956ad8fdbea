/** Control stores are lost while everything is down: a cold start promotes nothing without an operator's word. */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ByHand, prepareByHand } from "../support/by-hand.ts";
import { untilHealthy } from "../support/health.ts";
import { cli } from "../support/programs.ts";
import { rows, value, writesThatPass } from "../support/sql.ts";
import { holds, until } from "../support/until.ts";

let hand: ByHand;
let failed = true;
/** Several elections, had anybody a say. */
const WHILE_MS = 8000;

beforeAll(async () => {
  hand = await prepareByHand();
  for (const { id } of hand.nodes) expect(await hand.init(id)).toMatchObject({ exitCode: 0 });
  await runAll();
  const { primary } = await untilHealthy(hand, 150_000);
  await rows(hand.node(primary).data.uri, "create table kept (n integer)");
  await rows(hand.node(primary).data.uri, "insert into kept select generate_series(1, 100)");
  failed = false;
}, 240_000);

afterAll(async () => {
  await hand?.discard(failed ? "keep" : "remove");
}, 60_000);

async function runAll(): Promise<void> {
  for (const { id } of hand.nodes) await hand.run(id);
}

/** All nodes die, the stores of some are gone, with the marks that told of them; all start again. */
async function loseStores(ids: readonly number[]): Promise<void> {
  await hand.crashAll();
  for (const id of ids) {
    const { control, data } = hand.node(id);
    await rm(control.dir, { recursive: true });
    await rm(`${data.dir}.mark`, { force: true });
  }
  await runAll();
  for (const { id, control } of hand.nodes) {
    await until(`the control store of node ${id} answers`, { limitMs: 60_000 }, async () => {
      return (await value(control.uri, "select 1")) === "1";
    });
  }
}

async function expectNobodyLeads(): Promise<void> {
  await holds("nobody leads", { forMs: WHILE_MS, everyMs: 500 }, async () => {
    const asked = hand.nodes.map(({ control }) =>
      value(control.uri, "select has_quorum from pg_replica.cluster()"),
    );
    return (await Promise.all(asked)).every((answer) => answer !== "true");
  });
  for (const { data } of hand.nodes) {
    expect(await writesThatPass(data.uri, "insert into kept values (0)")).toEqual([]);
  }
}

const recover = (id: number) =>
  cli(["recover", "--force", "--reason", "lost stores", "--config", hand.configOf(id)], {
    limitMs: 20_000,
  });

test("with a majority of the stores lost nothing is promoted; the node that remembers goes on when it is told to", async () => {
  failed = true;
  const { standbys } = await untilHealthy(hand);
  const survivor = standbys[0] ?? 0;
  await loseStores(hand.nodes.map(({ id }) => id).filter((id) => id !== survivor));
  await expectNobodyLeads();
  const told = await recover(survivor);
  expect(told, told.stderr).toMatchObject({ exitCode: 0 });
  const { control, data } = hand.node(survivor);
  await until("it takes writes", { limitMs: 30_000 }, async () => {
    return (await value(control.uri, "select writable from pg_replica.cluster()")) === "true";
  });
  await rows(data.uri, "insert into kept values (101)");
  expect(await value(data.uri, "select count(*) from kept where n > 0")).toBe("101");
  for (const other of hand.nodes.filter(({ id }) => id !== survivor)) {
    expect(await writesThatPass(other.data.uri, "insert into kept values (0)")).toEqual([]);
  }
  failed = false;
}, 180_000);

test("with every store lost nothing is promoted, nothing is touched, and recover says why it cannot", async () => {
  failed = true;
  await loseStores(hand.nodes.map(({ id }) => id));
  await expectNobodyLeads();
  for (const { id, data } of hand.nodes) {
    const told = await recover(id);
    expect(told.exitCode).toBe(1);
    expect(told.stderr).toMatch(/not_founded/);
    expect(told.stderr).toMatch(/pg-replica init --keep-data/);
    expect(existsSync(join(data.dir, "PG_VERSION"))).toBe(true);
  }
  failed = false;
}, 180_000);
