/** Every row event says what SQL says of the row: types, NULL, large values, replica identities, DDL between rows. */
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  ReplicationClient,
  type ReplicationConfig,
  type ReplicationEvent,
  UNCHANGED,
} from "../../src/logical/index.ts";
import { type Bench, collect, commits, inserts, openBench } from "./bench.ts";

/** One value of each type, as SQL writes it. */
const VALUES: Readonly<Record<string, string>> = {
  bool: "true",
  int2: "-32768",
  int4: "2147483647",
  int8: "-9223372036854775808",
  numeric: "123456789012345678901234567890.000000001",
  "numeric(6,2)": "'NaN'",
  float4: "'-Infinity'",
  float8: "1e-307",
  money: "12.34",
  text: "E'tab\\tnew\\nline \\u00e4 \\U0001F418'",
  varchar: "''",
  "char(5)": "'ab'",
  '"char"': "'\\357'",
  name: "'n'",
  bytea: "'\\x00ff10'",
  date: "'infinity'",
  time: "'23:59:59.999999'",
  timetz: "'23:59:59+05:30'",
  timestamp: "'2026-11-22 01:02:03.000001'",
  timestamptz: "'0044-03-15 12:00:00+00 BC'",
  interval: "'-1 year 2 days 03:04:05.6'",
  uuid: "'00000000-0000-4000-8000-00000000000a'",
  json: `'{"a" :  1}'`,
  jsonb: `'{"b": [1, null, "x"]}'`,
  xml: "'<a/>'",
  inet: "'10.1.2.3/8'",
  cidr: "'10.0.0.0/8'",
  macaddr: "'08:00:2b:01:02:03'",
  macaddr8: "'08:00:2b:01:02:03:04:05'",
  "bit(5)": "B'10101'",
  varbit: "B''",
  tsvector: "'a:1 b:2'",
  tsquery: "'a & b'",
  point: "'(1,2)'",
  polygon: "'((0,0),(1,1),(1,0))'",
  oid: "4294967295",
  pg_lsn: "'FFFFFFFF/FFFFFFFF'",
  int4range: "'[1,5)'",
  int4multirange: "'{[1,2), [5,6)}'",
  "int4[]": "'{1,NULL,3}'",
  "text[]": `'{"a,b","",NULL}'`,
  mood: "'so so'",
  positive: "7",
  pair: "row(1, 'x')",
};
const NAMES = Object.keys(VALUES).map((_, index) => `c${index}`);

let bench: Bench;
beforeAll(async () => {
  bench = await openBench(undefined);
  await bench.server.sql(`create type mood as enum ('so so');
    create domain positive as int check (value > 0); create type pair as (a int, b text)`);
}, 60_000);
afterAll(() => bench.lab.close());

/** The events of so many transactions that `sql` makes. */
async function changes(
  config: ReplicationConfig,
  sql: readonly string[],
): Promise<ReplicationEvent[]> {
  const client = await ReplicationClient.connect(config);
  for (const one of sql) await bench.server.sql(one);
  return await collect(client, commits(sql.length));
}

const rowsOf = (events: readonly ReplicationEvent[]) =>
  events.filter(({ kind }) => kind === "insert" || kind === "update" || kind === "delete");

test(`${NAMES.length} types, and NULL of each, as SQL prints them`, async () => {
  const columns = Object.keys(VALUES).map((type, index) => `c${index} ${type}`);
  await bench.server.sql(`create table types (${columns.join(", ")})`);
  const list = Object.entries(VALUES).map(([type, value]) => `(${value})::${type}`);
  const events = await changes(await bench.slot(), [
    `insert into types select ${list.join(", ")}`,
    `insert into types select ${NAMES.map(() => "null").join(", ")}`,
  ]);
  const [full, empty] = inserts(events);
  // Answers of a simple query are the types' own output, as a stream's values are.
  const [own] = await bench.server.sql(`select ${NAMES.join(", ")} from types where c0`);
  expect(NAMES.map((name) => full?.new[name])).toEqual(own);
  expect(NAMES.map((name) => empty?.new[name])).toEqual(NAMES.map(() => null));
});

test("a megabyte of text comes whole; untouched by an update it is UNCHANGED, never null or missing", async () => {
  await bench.server.sql("create table large (id int primary key, n int, v text)");
  await bench.server.sql("alter table large alter v set storage external");
  const events = await changes(await bench.slot(), [
    "insert into large values (1, 0, repeat('äb', 500000))",
    "update large set n = 1",
    "update large set v = 'short'",
  ]);
  expect(rowsOf(events)).toMatchObject([
    { kind: "insert", new: { v: "äb".repeat(500_000) } },
    { kind: "update", new: { id: "1", n: "1", v: UNCHANGED } },
    { kind: "update", new: { id: "1", n: "1", v: "short" } },
  ]);
});

test("replica identities: the key, the whole row, an index, nothing", async () => {
  const make = (
    name: string,
    identity: string,
  ) => `create table ${name} (id int primary key, u int not null unique,
    v text); alter table ${name} replica identity ${identity}`;
  await bench.server.sql(make("by_key", "default"));
  await bench.server.sql(make("by_row", "full"));
  await bench.server.sql(make("by_index", "using index by_index_u_key"));
  await bench.server.sql(
    "create table by_nothing (v text); alter table by_nothing replica identity nothing",
  );
  const work = (name: string) => [
    `insert into ${name} values (1, 10, 'a')`,
    `update ${name} set id = 2, u = 20`,
    `delete from ${name}`,
  ];
  const all = [...work("by_key"), ...work("by_row"), ...work("by_index")];
  const events = await changes(await bench.slot(), [...all, "insert into by_nothing values ('n')"]);
  const now = { id: "2", u: "20", v: "a" };
  const first = { id: "1", u: "10", v: "a" };
  const story = (old: object, last: object, oldKind: string) => [
    { kind: "insert", new: first },
    { kind: "update", new: now, old, oldKind },
    { kind: "delete", old: last, oldKind },
  ];
  expect(rowsOf(events)).toMatchObject([
    ...story({ id: "1" }, { id: "2" }, "key"),
    ...story(first, now, "full"),
    ...story({ u: "10" }, { u: "20" }, "key"),
    { kind: "insert", new: { v: "n" }, relation: { replicaIdentity: "nothing" } },
  ]);
  // Columns outside the identity are not there: they were not sent.
  const [old] = rowsOf(events).flatMap((event) => (event.kind === "delete" ? [event.old] : []));
  expect(Object.keys(old ?? {})).toEqual(["id"]);
});

test("DDL between rows: each row belongs to the table as it was then; a generated column is computed elsewhere", async () => {
  await bench.server.sql(
    "create table moving (id int primary key, a text, g int generated always as (id * 2) stored)",
  );
  const events = await changes(await bench.slot(), [
    "insert into moving values (1, 'x')",
    "alter table moving add b int default 5; insert into moving (id, a, b) values (2, 'y', 6)",
    "alter table moving drop a; alter table moving rename b to c; insert into moving (id, c) values (3, 7)",
    "insert into moving (id, c) values (4, null)",
  ]);
  const seen = inserts(events);
  expect(seen.map((event) => event.new)).toEqual([
    { id: "1", a: "x" },
    { id: "2", a: "y", b: "6" },
    { id: "3", c: "7" },
    { id: "4", c: null },
  ]);
  expect(seen.map(({ relation }) => relation.columns.map(({ name }) => name))).toEqual([
    ["id", "a"],
    ["id", "a", "b"],
    ["id", "c"],
    ["id", "c"],
  ]);
});

test("asked for, and only then: messages, two-phase, binary values", async () => {
  const plain = await bench.slot();
  const two = { ...(await bench.slot({ twoPhase: true })), twoPhase: true };
  const told = { ...(await bench.slot()), messages: true };
  const binary = { ...(await bench.slot()), binary: true };
  const work = [
    "begin; insert into t values (900, 'p'); prepare transaction 'gid'",
    "commit prepared 'gid'",
    "begin; select pg_logical_emit_message(true, 'pre', 'fix'); insert into t values (901, 'm'); commit",
  ];
  for (const one of work) await bench.server.sql(one);
  const read = async (config: ReplicationConfig, ends: number) => {
    let left = ends;
    const events = await collect(await ReplicationClient.connect(config), ({ kind }) => {
      return (kind === "commit" || kind === "commitPrepared") && --left === 0;
    });
    return events.filter(({ kind }) => kind !== "keepalive" && kind !== "relation");
  };
  const kinds = async (config: ReplicationConfig) =>
    (await read(config, 2)).map(({ kind }) => kind);
  const usual = ["begin", "insert", "commit", "begin", "insert", "commit"];
  expect(await kinds(plain)).toEqual(usual);
  expect(await kinds(two)).toEqual([
    ...["beginPrepare", "insert", "prepare", "commitPrepared"],
    ...["begin", "insert", "commit"],
  ]);
  const events = await read(told, 2);
  expect(events.find(({ kind }) => kind === "message")).toMatchObject({
    ...{ transactional: true, prefix: "pre" },
    content: Buffer.from("fix"),
  });
  const [first] = inserts(await read(binary, 2));
  expect(first?.new.id).toEqual(Buffer.from([0, 0, 3, 132]));
  await bench.server.sql("truncate t");
});

test("streamed: a large transaction comes before its commit, one that is rolled back never ends", async () => {
  await bench.server.sql("alter system set logical_decoding_work_mem = '64kB'");
  await bench.server.sql("select pg_reload_conf()");
  const config = await bench.slot();
  const streamed = { ...config, streaming: "on" } as const;
  const client = await ReplicationClient.connect(streamed);
  await bench.server.sql(
    `begin; insert into t select i, repeat('r', 100) from generate_series(1, 3000) i; rollback`,
  );
  await bench.server.sql(
    "insert into t select i, repeat('s', 100) from generate_series(5001, 8000) i",
  );
  const events = await collect(client, ({ kind }) => kind === "streamCommit");
  const kinds = new Set(events.map(({ kind }) => kind));
  expect([...kinds]).toEqual(expect.arrayContaining(["streamStart", "streamStop", "streamCommit"]));
  const end = events.find(({ kind }) => kind === "streamCommit");
  const kept = inserts(events).filter(({ xid }) => end?.kind === "streamCommit" && xid === end.xid);
  expect(kept.map((event) => Number(event.new.id))).toEqual(
    Array.from({ length: 3000 }, (_, index) => 5001 + index),
  );
  const ended = events.flatMap((event) => (event.kind === "streamAbort" ? [event.xid] : []));
  const rolledBack = new Set(inserts(events).map(({ xid }) => xid));
  if (end?.kind === "streamCommit") rolledBack.delete(end.xid);
  // The server may have seen the end of the first one before it began to send it.
  expect([...rolledBack].filter((xid) => !ended.includes(xid))).toEqual([]);
});
