/**
 * The leader's own control store takes nothing more, or cannot apply it, and answers all the same (F22, H66): its
 * coordinator sees nothing from then on. Another leads within seconds, and replaces the primary when it dies.
 */
import { expect, test, vi } from "vitest";
import { processesBelow } from "../support/cluster.ts";
import { untilHealthy } from "../support/health.ts";
import { useMembers } from "../support/members.ts";
import { signalTree, untilGone } from "../support/processes.ts";
import { rows, value } from "../support/sql.ts";
import { until } from "../support/until.ts";

vi.setConfig({ testTimeout: 150_000 });

const members = useMembers(3);
const { control, present } = members;

/** Every row that goes into this table of a store is refused, until what is returned is called. */
async function refuseRows(id: number, table: string): Promise<() => Promise<void>> {
  const run = (text: string) => rows(control(id), text);
  await run(`create or replace function public.no_room() returns trigger language plpgsql as $$
             begin raise exception using errcode = 'disk_full', message = 'no space left on device'; end $$`);
  await run(
    `create trigger no_room before insert on ${table} for each row execute function public.no_room()`,
  );
  return async () => void (await run(`drop trigger no_room on ${table}`));
}

/** Who leads in the view of a node. */
const leaderSeenBy = (id: number) =>
  value(control(id), "select leader_id from pg_replica.cluster()").then(Number);

async function settled(): Promise<number> {
  let led = 0;
  await until("the primary's node leads", { limitMs: 60_000 }, async () => {
    const { primary, leader } = await untilHealthy(present(1, 2, 3), 60_000);
    led = primary;
    return primary === leader;
  });
  return led;
}

/** Anything for the log that users may put there. */
const entry = (by: number, key: string) =>
  value(control(by), "select pg_replica.kv_put($1, '1')", [key], { answerMs: 20_000 });

/** The primary's node leads, its store refuses rows of this table, and another leads. */
async function givesUp(table: string, key: string) {
  const old = await settled();
  const other = 1 + (old % 3);
  const mend = await refuseRows(old, table);
  await entry(other, key).catch(() => undefined); // whoever leads then has it, answered or not
  await until("another leads", { limitMs: 20_000 }, async () => {
    return (await leaderSeenBy(other)) !== old;
  });
  return { old, other, mend };
}

test("a leader whose log takes nothing gives up, and its dead primary is replaced", async () => {
  const { old, other, mend } = await givesUp("raft.log", "wakes the log");
  await untilGone(
    signalTree(() => processesBelow(members.node(old).data.dir), "SIGKILL"),
    10_000,
  );
  await until("another is primary", { limitMs: 20_000 }, async () => {
    const text = "select primary_id from pg_replica.cluster()";
    return Number(await value(control(other), text)) !== old;
  });
  await mend();
  expect(await settled()).not.toBe(old);
});

test("so does one that takes the log and cannot apply it", async () => {
  const { other, mend } = await givesUp("cluster.kv", "is applied elsewhere");
  expect(await value(control(other), "select pg_replica.kv_get('is applied elsewhere')")).toBe("1");
  await mend();
  await settled();
});
