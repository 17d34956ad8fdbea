/** What an operator types, on any node, at control store or data server: the same answers, the same refusals. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type pg from "pg";
import { expect, test } from "vitest";
import { expectWithin, useCluster } from "../support/fixture.ts";
import { untilHealthy, untilNewPrimary } from "../support/health.ts";
import { PROJECT } from "../support/programs.ts";
import { errorOf, open, rows, sqlstate, value, withClient } from "../support/sql.ts";
import { until } from "../support/until.ts";

const cluster = useCluster();

const everyServer = () => [...cluster().dataUris(), ...cluster().controlUris()];
const VIEWS = [
  "cluster",
  "events",
  "history",
  "members",
  "primary",
  "progress",
  "requests",
  "settings",
  "status",
];
/** On data servers only: how one is doing (docs/operations.md). */
const MONITORING = [
  "blocked_commits",
  "inactive_slots",
  "lag",
  "recovery_conflicts",
  "replication_status",
  "slots",
  "standby_processes",
  "standby_status",
  "sync_connection",
  "sync_settings",
  "sync_standbys",
  "wal_usage",
];
const viewsOf = (uri: string) =>
  cluster().dataUris().includes(uri) ? [...VIEWS, ...MONITORING].sort() : VIEWS;

interface Request extends Record<string, unknown> {
  readonly request_id: string;
  readonly kind: string;
  readonly state: string;
  readonly from_node: number;
  readonly to_node: number;
  readonly epoch: string;
  readonly reason: string;
  readonly requested_by: string;
  readonly requested_at: Date;
  readonly finished_at: Date;
  readonly write_gap_ms: number;
}

async function ask(uri: string, sql: string, values: unknown[] = []): Promise<Request> {
  const [row, ...more] = await rows<Request>(uri, sql, values, { answerMs: 40_000 });
  if (row === undefined || more.length > 0) throw new Error(`expected one row: ${sql}`);
  return row;
}

test("every server answers every reading function, and tells the same", async () => {
  const { primary, leader } = await untilHealthy(cluster());
  const { version } = JSON.parse(readFileSync(join(PROJECT, "package.json"), "utf8"));
  for (const uri of everyServer()) {
    expect(await value(uri, "select pg_replica.version()")).toBe(version);
    expect(await value(uri, "select pg_replica.leader()")).toBe(`${leader}`);
    expect(Number(await value(uri, "select pg_replica.term()"))).toBeGreaterThan(0);
    const [now] = await rows(uri, "select * from pg_replica.primary()");
    expect(now).toMatchObject({ node_id: primary, writable: true });
    const members = await rows(uri, "table pg_replica.members");
    expect(members.map((member) => member.node_id)).toEqual([1, 2, 3]);
    for (const view of viewsOf(uri)) await rows(uri, `select * from pg_replica.${view}`);
    for (const name of VIEWS) await rows(uri, `select * from pg_replica.${name}()`);
    const why = await rows(uri, "select * from pg_replica.explain(1)");
    expect(why.length).toBeGreaterThan(0);
    expect(await rows(uri, "select * from pg_replica.explain('node1')")).toHaveLength(why.length);
  }
  const leading = cluster().nodes.map(({ control }) =>
    value(control.uri, "select pg_replica.is_leader()"),
  );
  expect((await Promise.all(leading)).filter((answer) => answer === "true")).toHaveLength(1);
});

test("status gives a reason for every member on every server", async () => {
  for (const uri of everyServer()) {
    const members = await rows<{ node_id: number; reason: string }>(uri, "table pg_replica.status");
    expect(members.map(({ node_id }) => node_id)).toEqual([1, 2, 3]);
    for (const { reason } of members) expect(reason).toMatch(/\S/);
  }
});

test("acting functions are no views, the schema holds no table, and everything has a comment", async () => {
  for (const uri of everyServer()) {
    const relations = await rows<{ relname: string; relkind: string; said: string | null }>(
      uri,
      `select relname::text, relkind::text, obj_description(c.oid, 'pg_class') as said
         from pg_class c where relnamespace = 'pg_replica'::regnamespace order by 1`,
    );
    expect(relations.map(({ relname }) => relname)).toEqual(viewsOf(uri));
    expect(relations.filter(({ relkind, said }) => relkind !== "v" || said === null)).toEqual([]);
    const silent = await rows(
      uri,
      `select p.oid::regprocedure::text from pg_proc p
        where pronamespace = 'pg_replica'::regnamespace and obj_description(p.oid, 'pg_proc') is null`,
    );
    expect(silent).toEqual([]);
  }
});

test("nothing is for PUBLIC to call; monitor reads, admin acts, others may do neither", async () => {
  for (const uri of everyServer()) {
    const open = await rows(
      uri,
      `select p.oid::regprocedure::text
         from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname in ('pg_replica', 'pgreplica', 'peer', 'raft', 'cluster', 'node')
          and has_function_privilege('public', p.oid, 'execute')`,
    );
    // What the view pgraft_get_nodes reads, in a schema that PUBLIC may not use.
    expect(open).toEqual([{ oid: "pgreplica.pgraft_nodes()" }]);
  }
  const { uri } = cluster().node(2).control;
  await withClient(uri, {}, async (client) => {
    await client.query("create role watching in role pgreplica_monitor");
    await client.query("create role nobody_special");
    await client.query("set role watching");
    await client.query("table pg_replica.status");
    expect(sqlstate(await errorOf(client.query("select pg_replica.switchover()")))).toBe("42501");
    await client.query("set role nobody_special");
    expect(sqlstate(await errorOf(client.query("select pg_replica.leader()")))).toBe("42501");
    await client.query("reset role");
    await client.query("drop role watching, nobody_special");
  });
});

test("a switchover is asked from any server, by id or name, and its row is complete", async () => {
  const places = [
    (primary: number) => cluster().node(primary).control.uri,
    (_: number, other: number) => cluster().node(other).data.uri,
    (_: number, other: number) => cluster().node(other).control.uri,
  ];
  for (const [round, place] of places.entries()) {
    const { primary, standbys, epoch } = await untilHealthy(cluster());
    const target = standbys[round % 2] ?? 0;
    const other = standbys.find((id) => id !== target) ?? 0;
    const kind = round % 2 === 0 ? "switchover" : "failover";
    const word = round === 0 ? target : `node${target}`;
    const type = round === 0 ? "integer" : "text";
    const row = await ask(place(primary, other), `select * from pg_replica.${kind}($1::${type})`, [
      word,
    ]);
    expect(row).toMatchObject({ kind, state: "done", from_node: primary, to_node: target });
    expect(BigInt(row.epoch)).toBe(epoch + 1n);
    expect(row.write_gap_ms).toBeGreaterThan(0);
    expect(row.reason).toMatch(/\S/);
    expect(row.requested_by).toMatch(/\S/);
    expect(row.finished_at.getTime()).toBeGreaterThanOrEqual(row.requested_at.getTime());
    expect((await untilHealthy(cluster())).primary).toBe(target);
  }
});

test("failover typed on the primary itself returns its row at once and says where to watch", async () => {
  const { primary } = await untilHealthy(cluster());
  const client = await open(cluster().node(primary).data.uri, { answerMs: 20_000 });
  const notices: string[] = [];
  client.on("notice", ({ message = "", hint = "" }) => notices.push(`${message} ${hint}`));
  const since = performance.now();
  const { rows: answer } = await client.query<Request>("select * from pg_replica.failover()");
  expectWithin("answered", performance.now() - since, 2000);
  expect(answer[0]).toMatchObject({ kind: "failover", state: "running" });
  const { port } = cluster().node(primary).control;
  expect(notices.join("\n")).toContain(`${port}`);
  await client.end().catch(() => undefined);

  const taker = await untilNewPrimary(cluster(), primary);
  await until("the request is done", { limitMs: 10_000 }, async () => {
    const sql = "select * from pg_replica.requests() where request_id = $1";
    const row = await ask(cluster().node(primary).control.uri, sql, [answer[0]?.request_id]);
    return row.state === "done" && row.to_node === taker;
  });
  await untilHealthy(cluster());
});

test("a refusal is an error of class RF with a detail or a hint, from every server", async () => {
  const { primary, epoch } = await untilHealthy(cluster());
  const refused: [string, RegExp][] = [
    ["select * from pg_replica.switchover('nobody')", /^RF006$/],
    ["select * from pg_replica.switchover(99)", /^RF006$/],
    ["select * from pg_replica.failover('nobody')", /^RF006$/],
    ["select * from pg_replica.explain('nobody')", /^RF006$/],
    [`select * from pg_replica.switchover(${primary})`, /^RF010$/],
  ];
  for (const uri of everyServer()) {
    for (const [sql, expected] of refused) {
      const error = await errorOf(rows(uri, sql));
      expect({ sql, state: sqlstate(error), message: error.message }).toEqual({
        sql,
        state: expect.stringMatching(expected),
        message: expect.stringMatching(/\S/),
      });
      expect(`${error.detail ?? ""}${error.hint ?? ""}`).toMatch(/\S/);
    }
  }
  expect(await untilHealthy(cluster())).toMatchObject({ primary, epoch });
});

test("a switchover for later waits, and can be cancelled", async () => {
  const { primary, standbys } = await untilHealthy(cluster());
  const { uri } = cluster().node(standbys[0] ?? 0).data;
  const row = await ask(
    uri,
    "select * from pg_replica.switchover(at => now() + interval '1 hour', wait_ms => 0)",
  );
  expect(row).toMatchObject({ kind: "switchover", state: "waiting" });
  const cancel = "select pg_replica.cancel($1)";
  expect(await value(uri, cancel, [row.request_id])).toBe("true");
  await until("the request is cancelled", { limitMs: 5000 }, async () => {
    const sql = "select * from pg_replica.requests() where request_id = $1";
    return (await ask(uri, sql, [row.request_id])).state === "failed";
  });
  expect((await untilHealthy(cluster())).primary).toBe(primary);
});

interface Heard {
  readonly client: pg.Client;
  readonly notes: { channel: string; payload: Record<string, unknown> }[];
}

async function listen(uri: string): Promise<Heard> {
  const client = await open(uri);
  const notes: Heard["notes"] = [];
  client.on("notification", ({ channel, payload = "{}" }) =>
    notes.push({ channel, payload: JSON.parse(payload) }),
  );
  await client.query("listen pg_replica_leader");
  await client.query("listen pg_replica_event");
  return { client, notes };
}

test("a change is heard on every control store and on the primary's data server", async () => {
  const { primary, standbys } = await untilHealthy(cluster());
  const target = standbys[0] ?? 0;
  const stores = await Promise.all(cluster().controlUris().map(listen));
  const server = await listen(cluster().node(primary).data.uri);
  const later = await ask(
    cluster().node(target).control.uri,
    "select * from pg_replica.switchover(at => now() + interval '1 hour', wait_ms => 0)",
  );
  await rows(cluster().node(target).control.uri, "select pg_replica.cancel($1)", [
    later.request_id,
  ]);
  const about = ({ notes }: Heard, event: RegExp, channel: string) =>
    notes.some((note) => note.channel === channel && event.test(`${note.payload.event}`));
  for (const heard of [...stores, server]) {
    await until("an event is heard", { limitMs: 5000 }, () =>
      about(heard, /request/, "pg_replica_event"),
    );
  }
  await ask(
    cluster().node(target).control.uri,
    "select * from pg_replica.switchover($1::integer)",
    [target],
  );
  for (const heard of stores) {
    await until("the new primary is heard of", { limitMs: 5000 }, () =>
      heard.notes.some(
        ({ channel, payload }) => channel === "pg_replica_leader" && payload.primary === target,
      ),
    );
    const [note] = heard.notes;
    const keys = ["event", "event_id", "epoch", "term", "leader", "primary", "timeline", "why"];
    expect(Object.keys(note?.payload ?? {}).toSorted()).toEqual(keys.toSorted());
  }
  for (const { client } of [...stores, server]) await client.end().catch(() => undefined);
});

test("a new leader is heard of on the primary's data server", async () => {
  // At rest the leader is on the primary's node; before that it might move between our look and the kill.
  const { primary, leader } = await until(
    "leader and primary are one",
    { limitMs: 15_000 },
    async () => {
      const all = await untilHealthy(cluster());
      return all.leader === all.primary && all;
    },
  );
  const heard = await listen(cluster().node(primary).data.uri);
  cluster().killWorker(leader);
  await until("the leader's change is heard of", { limitMs: 15_000 }, () =>
    heard.notes.some(({ channel }) => channel === "pg_replica_leader"),
  );
  await heard.client.end();
  await untilHealthy(cluster());
});

test("events have ids without gaps and are the same on every node; each promotion has its row", async () => {
  await untilHealthy(cluster());
  const told = await until("all nodes tell the same events", { limitMs: 10_000 }, async () => {
    const each = cluster()
      .controlUris()
      .map((uri) => rows(uri, "select event_id, event, reason from pg_replica.events(0, 100000)"));
    const [first, ...others] = await Promise.all(each);
    const same = others.every((other) => JSON.stringify(other) === JSON.stringify(first));
    return same ? first : undefined;
  });
  const ids = told.map(({ event_id }) => Number(event_id));
  expect(ids).toEqual(ids.map((_, index) => index + (ids[0] ?? 0)));
  for (const { reason } of told) expect(reason).toMatch(/\S/);
  const { uri } = cluster().node(1).control;
  const history = await rows(uri, "select * from pg_replica.history() order by epoch");
  const epoch = await value(uri, "select epoch from pg_replica.cluster()");
  expect(history).toHaveLength(Number(epoch));
});
