/** Every member is the same database: definitions, roles, passwords, extensions, grants and rows. */
import { expect, test } from "vitest";
import type { Cluster } from "../support/cluster.ts";
import { useCluster } from "../support/fixture.ts";
import { onPrimary, untilHealthy, untilNewPrimary } from "../support/health.ts";
import { mustRun, needProgram } from "../support/programs.ts";
import { rows, value, withClient } from "../support/sql.ts";
import { until } from "../support/until.ts";

const cluster = useCluster();

const SCRIPT = [
  "create role app_owner nologin",
  "create role app_user login password 'first-secret' in role app_owner",
  "create role app_reader login password 'reader-secret' connection limit 5",
  "create schema app authorization app_owner",
  "create extension pg_stat_statements schema app",
  "create extension dblink",
  "create type app.mood as enum ('glad', 'sad')",
  `create table app.orders (id bigint generated always as identity primary key, mood app.mood not null,
     note text collate "C" default 'none', at timestamptz default now(), constraint short check (length(note) < 99))`,
  "create index on app.orders (mood) where note <> 'none'",
  "create view app.glad as select id, note from app.orders where mood = 'glad'",
  "create materialized view app.counted as select mood, count(*) from app.orders group by mood",
  `create function app.stamp() returns trigger language plpgsql as
     $$ begin new.note := new.note || '!'; return new; end $$`,
  "create trigger stamp before insert on app.orders for each row execute function app.stamp()",
  "alter table app.orders enable row level security",
  "create policy everything on app.orders to app_user using (true) with check (true)",
  "grant usage on schema app to app_user, app_reader",
  "grant select, insert on app.orders to app_user",
  "grant select on app.glad to app_reader",
  "insert into app.orders (mood, note) select 'glad', 'row ' || n from generate_series(1, 5000) n",
  "refresh materialized view app.counted",
  "alter role app_reader set work_mem = '8MB'",
  "comment on table app.orders is 'what people asked for'",
];

/** Replace the login of a URI. */
function as(uri: string, user: string, password: string): string {
  const url = new URL(uri);
  url.username = user;
  url.password = password;
  return url.href;
}

/**
 * What is no difference: lines that pg_dump makes up for each run, and how far a sequence went. Its WAL record is
 * written for 32 values ahead, so that a standby is rightly beyond the primary.
 */
const stable = (dump: string) =>
  dump
    .split("\n")
    .filter((line) => !/^\\(un)?restrict |^SELECT pg_catalog.setval/.test(line))
    .join("\n");

async function dumpOf(uri: string): Promise<string> {
  const whole = await mustRun(needProgram("pg_dump"), ["-d", uri]);
  const globals = await mustRun(needProgram("pg_dumpall"), ["-d", uri, "--globals-only"]);
  return stable(whole + globals);
}

/** One hash per ordinary table, over all rows in order. */
async function hashesOf(uri: string): Promise<Record<string, string>> {
  const tables = await rows<{ name: string }>(
    uri,
    `select format('%I.%I', schemaname, tablename) as name from pg_tables
      where schemaname not in ('pg_catalog', 'information_schema') order by 1`,
  );
  const hashes: Record<string, string> = {};
  for (const { name } of tables) {
    const sql = `select md5(coalesce(string_agg(t::text, '|' order by t::text), '')) from ${name} t`;
    hashes[name] = await value(uri, sql);
  }
  return hashes;
}

/** Wait until every standby has replayed what the primary has written. */
async function untilReplayed(all: Cluster, primary: number): Promise<void> {
  const { uri } = all.node(primary).data;
  const lsn = await value(uri, "select pg_current_wal_lsn()");
  for (const { id, data } of all.nodes) {
    if (id === primary) continue;
    await until(`node ${id} has replayed ${lsn}`, { limitMs: 10_000 }, async () => {
      const sql = "select pg_last_wal_replay_lsn() >= $1::pg_lsn";
      return (await value(data.uri, sql, [lsn])) === "true";
    });
  }
}

async function expectEqualEverywhere(all: Cluster, primary: number): Promise<void> {
  await untilReplayed(all, primary);
  const { uri } = all.node(primary).data;
  const dump = await dumpOf(uri);
  const hashes = await hashesOf(uri);
  expect(dump).toContain("CREATE TABLE app.orders");
  expect(Object.keys(hashes)).toContain("app.orders");
  for (const { id, data } of all.nodes) {
    if (id === primary) continue;
    expect(await dumpOf(data.uri)).toBe(dump);
    expect(await hashesOf(data.uri)).toEqual(hashes);
  }
}

test("definitions, roles, grants, extensions and rows are equal on every node", async () => {
  const { primary } = await untilHealthy(cluster());
  await withClient(cluster().node(primary).data.uri, {}, async (client) => {
    for (const statement of SCRIPT) await client.query(statement);
  });
  await expectEqualEverywhere(cluster(), primary);
});

test("a password changed on the primary opens the new one after a failover, and the old one does not", async () => {
  const { primary } = await untilHealthy(cluster());
  await onPrimary(cluster(), "alter role app_user password 'second-secret'");
  const stored = "select rolpassword from pg_authid where rolname = 'app_user'";
  const verifier = await value(cluster().node(primary).data.uri, stored);
  expect(verifier).toMatch(/^SCRAM-SHA-256\$/);
  await untilReplayed(cluster(), primary);

  cluster().killNode(primary);
  const taker = await untilNewPrimary(cluster(), primary);
  const { uri } = cluster().node(taker).data;
  expect(await value(uri, stored)).toBe(verifier);
  const insert = "insert into app.orders (mood) values ('sad') returning note";
  expect(await value(as(uri, "app_user", "second-secret"), insert)).toBe("none!");
  await expect(value(as(uri, "app_user", "first-secret"), "select 1")).rejects.toThrow();
  const read = "select count(*) from app.glad";
  expect(await value(as(uri, "app_reader", "reader-secret"), read)).toBe("5000");
  await expect(value(as(uri, "app_reader", "reader-secret"), insert)).rejects.toThrow();

  const after = await untilHealthy(cluster());
  await expectEqualEverywhere(cluster(), after.primary);
});
