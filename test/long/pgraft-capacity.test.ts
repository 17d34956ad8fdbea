/**
 * The log as a service by the numbers: idle it appends and says next to nothing, a hundred thousand keys go in and are
 * listed while the log stays short, and no file but the tables ever holds what users put in.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type pg from "pg";
import { expect, test, vi } from "vitest";
import { monotonicClock } from "../../src/clock/clock.ts";
import { useCluster } from "../support/fixture.ts";
import { untilHealthy } from "../support/health.ts";
import { isOverloaded } from "../support/lag.ts";
import { run } from "../support/programs.ts";
import { errorOf, open, rows, sqlstate, value } from "../support/sql.ts";
import { until } from "../support/until.ts";

const cluster = useCluster();
vi.setConfig({ testTimeout: 900_000 });
const control = (id: number) => cluster().node(id).control.uri;
const MINUTE_MS = 60_000;
const KEYS = 100_000;
const SESSIONS = 16;
const AT_ONCE = 250;
/** raft.max_log_entries, and what may come until the next look. */
const KEPT = 10_000 + 10_000;

test("a minute of nothing: no entry, and hardly a line", async () => {
  const { leader } = await untilHealthy(cluster());
  // What followed from the founding is over.
  await monotonicClock.sleep(10_000);
  const lines = (id: number) =>
    readFile(join(cluster().node(id).data.dir, "../log/worker.log"), "utf8").then((text) =>
      text.trimEnd().split("\n"),
    );
  const stats = "select last_index, commit_index, last_applied from pgraft_log_get_stats()";
  const ids = cluster().nodes.map(({ id }) => id);
  const before = await Promise.all(ids.map(lines));
  const [first] = await rows(control(leader), stats);
  const term = await value(control(leader), "select pgraft_get_term()");
  await monotonicClock.sleep(MINUTE_MS);
  const [last] = await rows(control(leader), stats);
  const disturbed = (await value(control(leader), "select pgraft_get_term()")) !== term;
  for (const [at, id] of ids.entries()) {
    const said = (await lines(id)).slice(before[at]?.length);
    console.log(`node ${id}: ${said.length} lines`);
    // A machine that stands still makes elections, and these are told.
    if (disturbed) expect(isOverloaded(), "an election in an idle minute").toBe(true);
    else expect(said.length, said.join("\n")).toBeLessThan(10);
  }
  if (disturbed) return;
  expect(last).toEqual(first);
  expect(new Set(Object.values(last ?? {})).size).toBe(1);
});

test("what users put in stands in no log, whatever becomes of it", async () => {
  const { leader } = await untilHealthy(cluster());
  const mark = (of: string) => `not.for.logs.${of}`;
  const other = cluster().nodes.find(({ id }) => id !== leader)?.control.uri ?? "";
  await value(control(leader), "select pgraft_set_debug(true)");
  await value(control(leader), "select pgraft_replicate_entry($1, $2)", [
    mark("entry"),
    mark("id"),
  ]);
  await value(control(leader), "select pgraft_kv_put($1, $2)", [mark("key"), mark("value")]);
  const { data } = cluster().node(leader);
  await value(data.uri, "select pgraft_kv_put($1, $2)", [mark("key"), mark("value")]);
  const refused: [string, string, string[]][] = [
    [other, "select pgraft_replicate_entry($1)", [mark("refused")]],
    [control(leader), "select pgraft_log_append(0, $1)", [mark("stale")]],
    [control(leader), "select pgraft_kv_put('k', repeat($1, 100000))", [mark("long")]],
    [control(leader), `select pgraft_replicate_entry('${mark("literal")}', repeat('x', 300))`, []],
  ];
  const codes = await Promise.all(
    refused.map(async ([uri, text, values]) => sqlstate(await errorOf(value(uri, text, values)))),
  );
  expect(codes).toEqual(["RF001", "RF004", "22023", "22023"]);
  await monotonicClock.sleep(2000);
  await value(control(leader), "select pgraft_set_debug(false)");
  const tables = ["base", "global", "pg_wal"].map((name) => `--exclude-dir=${name}`);
  const { exitCode, stdout } = await run("grep", ["-rlFa", ...tables, mark(""), cluster().dir]);
  expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
});

/** What a leader that changes meanwhile makes of a write; that a queue is full is not among it. */
const AGAIN = ["RF001", "RF002", "RF003"];

/** Put in keys from here to there, so many at a time, and again where a leader was lost. */
async function fill(session: pg.Client, from: number, to: number): Promise<number> {
  let put = 0;
  for (let at = from; at <= to; at += AT_ONCE) {
    const text = `select count(*) filter (where pgraft_kv_put('key ' || lpad(n::text, 6, '0'), n::text))::integer
                    as put from generate_series($1::integer, $2::integer) as n`;
    const values = [at, Math.min(to, at + AT_ONCE - 1)];
    put += await until(
      `keys from ${at} on are in`,
      { limitMs: 120_000, everyMs: 200 },
      async () => {
        const answer = await session
          .query<{ put: number }>(text, values)
          .catch((error: unknown) => {
            expect(AGAIN).toContain(sqlstate(error));
          });
        return answer?.rows[0]?.put;
      },
    );
  }
  return put;
}

test("a hundred thousand keys are taken and listed, and the log stays short", async () => {
  const { leader } = await untilHealthy(cluster());
  const sessions = await Promise.all(
    Array.from({ length: SESSIONS }, () => open(control(leader), { answerMs: 300_000 })),
  );
  const each = KEYS / SESSIONS;
  const started = monotonicClock.now();
  // Leadership may move on a machine this busy: then the leader does it.
  for (const session of sessions) await session.query("set pgraft.forward_writes = on");
  const put = await Promise.all(
    sessions.map((session, at) => fill(session, at * each + 1, (at + 1) * each)),
  );
  const seconds = (monotonicClock.now() - started) / 1000;
  console.log(`${KEYS} keys in ${seconds.toFixed(1)} s: ${(KEYS / seconds).toFixed(0)} a second`);
  await Promise.all(sessions.map((session) => session.end()));
  expect(put.reduce((sum, one) => sum + one, 0)).toBe(KEYS);
  const listed = `select count(*)::integer as n, min(k) as first, max(k) as last,
                         bool_and(k collate "C" > coalesce(before, '') collate "C") as ascending
                    from (select k, lag(k) over (order by at) as before
                            from pgraft_kv_list_keys('key ') with ordinality as l (k, at)) as one`;
  const all = { n: KEYS, first: "key 000001", last: "key 100000", ascending: true };
  for (const uri of [...cluster().controlUris(), ...cluster().dataUris()]) {
    expect(await rows(uri, listed, [], { answerMs: 60_000 })).toEqual([all]);
  }
  for (const { id } of cluster().nodes) {
    await until(`the log of node ${id} is short`, { limitMs: 30_000 }, async () => {
      return (
        Number(await value(control(id), "select entry_count from pgraft_log_get_stats()")) < KEPT
      );
    });
  }
});
