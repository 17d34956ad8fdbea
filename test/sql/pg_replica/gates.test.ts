/** How SQL callers hand in what they propose, and wait: through a session they keep, at a gate the worker has shut. */
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { openScratch, type Scratch } from "../../support/scratch.ts";
import { errorOf } from "../../support/sql.ts";
import { until } from "../../support/until.ts";
import { another, elect, lead, openStore, type Store, threeMembers } from "./stores.ts";

let scratch: Scratch;
let store: Store;
const working: { stop(): Promise<void> }[] = [];
const open: pg.Client[] = [];

beforeAll(async () => {
  scratch = await openScratch("gates");
  store = await openStore(scratch, 1);
}, 60_000);
beforeEach(async () => {
  await threeMembers([store]);
  await elect([store], 1);
});
afterEach(async () => {
  for (const worker of working.splice(0)) await worker.stop();
  for (const client of open.splice(0)) await client.end();
});
afterAll(() => scratch.close());

async function session(user = "postgres"): Promise<pg.Client> {
  const { host, port, database } = store.db;
  const client = new pg.Client({ host, port, database: database ?? "postgres", user });
  await client.connect();
  open.push(client);
  return client;
}

const keptBy = async () => {
  const { rows } = await store.db.query(
    "select pid from pg_stat_activity where usename = 'pgreplica_service' order by pid",
  );
  return rows.map(({ pid }) => pid);
};

test("many callers at once: each entry is there once, and each caller keeps one session", async () => {
  working.push(lead(store, [store]));
  const callers = await Promise.all(Array.from({ length: 12 }, () => session()));
  const before = (await keptBy()).length;
  await Promise.all(
    callers.map(async (db, who) => {
      for (let i = 0; i < 10; i += 1) {
        await db.query("select pg_replica.replicate($1::text)", [`${who}/${i}`]);
      }
    }),
  );
  expect((await keptBy()).length - before).toBe(12);
  const { rows } = await store.db.query("select data, index from pg_replica.entries()");
  expect(new Set(rows.map(({ data }) => data)).size).toBe(120);
  expect(rows).toHaveLength(120);
  for (const who of callers.keys()) {
    const own = rows.filter(({ data }) => data.startsWith(`${who}/`)).map(({ data }) => data);
    expect(own).toEqual(Array.from({ length: 10 }, (_, i) => `${who}/${i}`));
  }
});

test("a worker that dies lets those through who wait at its gate; the next one serves them", async () => {
  const gates = await another(store);
  await gates.query("select raft.turn_gate(10)");
  const caller = await session();
  const done = caller.query("select pg_replica.replicate('x') as index");
  await until("it waits at the gate", { limitMs: 3000 }, async () => {
    const { rowCount } = await store.db.query(
      "select from pg_locks where locktype = 'advisory' and not granted",
    );
    return rowCount === 1;
  });
  await gates.end();
  working.push(lead(store, [store]));
  expect(BigInt((await done).rows[0].index)).toBeGreaterThan(0n);
});

test("a worker that stands still with its gate shut holds nobody for ever: the outcome is unknown", async () => {
  const gates = await another(store);
  try {
    await gates.query("select raft.turn_gate(10)");
    const caller = await session();
    const error = await errorOf(caller.query("select pg_replica.replicate('x')"));
    expect(error.code).toBe("RF003");
  } finally {
    await gates.end();
  }
});

test("a session that was ended in between is opened again, and nothing is there twice", async () => {
  working.push(lead(store, [store]));
  const caller = await session();
  await caller.query("select pg_replica.replicate('a')");
  await store.db.query(
    "select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = 'pgreplica_service'",
  );
  await caller.query("select pg_replica.replicate('b')");
  const { rows } = await store.db.query("select data from pg_replica.entries()");
  expect(rows.map(({ data }) => data)).toEqual(["a", "b"]);
});

test.each(["read committed", "repeatable read", "serializable"])(
  "in a %s transaction that is rolled back it stays",
  async (level) => {
    working.push(lead(store, [store]));
    const caller = await session();
    await caller.query(`begin isolation level ${level}`);
    await caller.query("select 1");
    await caller.query("select pg_replica.kv_put('k', 'v')");
    expect((await caller.query("select pg_replica.kv_get('k') as v")).rows).toEqual([{ v: "v" }]);
    await caller.query("rollback");
    expect((await store.db.query("select pg_replica.kv_get('k') as v")).rows).toEqual([{ v: "v" }]);
  },
);

test("who may only log in cannot take the lock of a gate that the worker has yet to shut, nor any other", async () => {
  working.push(lead(store, [store]));
  await store.db.query("create role intruder login in role pgreplica_admin");
  try {
    const intruder = await session("intruder");
    await intruder.query("select pg_replica.replicate('a')");
    const next = "(select last_value + 2 from raft.gate)";
    const { rows } = await store.db.query(`select ${next} as key`);
    const refused = (call: string) =>
      intruder.query(`select pg_catalog.${call}`, [rows[0].key]).then(
        () => undefined,
        (error: pg.DatabaseError) => error.code,
      );
    for (const call of ["pg_advisory_lock($1)", "pg_try_advisory_xact_lock_shared($1)"]) {
      expect(await refused(call), call).toBe("42501");
    }
    await intruder.query("select pg_replica.replicate('b')");
    await intruder.query("select pg_replica.replicate('c')");
    await intruder.query("select pg_replica.kv_get('nothing')");
    const allowed = await store.db.query(
      `select p.oid::regprocedure from pg_proc as p
        where p.proname ~ 'advisory.*lock' and p.proname !~ 'unlock'
          and has_function_privilege('intruder', p.oid, 'execute')`,
    );
    expect(allowed.rows).toEqual([]);
  } finally {
    for (const client of open.splice(0)) await client.end();
    await store.db.query("drop role intruder");
  }
});

const answered = async (ticket: string): Promise<boolean> => {
  const text = "select raft.read_index($1) is not null as done";
  return (await store.db.query(text, [ticket])).rows[0].done;
};

test("of many who ask for a read one wakes the worker: the first since it looked, when no turn is under way", async () => {
  const worker = await another(store);
  const ask = async () => {
    const { rows } = await store.db.query("select ticket, must_ring from raft.ask_read()");
    return rows[0];
  };
  const turn = async () => (await worker.query("select gate from raft.turn_gate(10)")).rows[0].gate;
  const look = async (gate: string, ticket: string | null) =>
    (await worker.query("select raft.open_gate($1, $2, 0) as more", [gate, ticket])).rows[0].more;
  try {
    await look(await turn(), null);
    const first = await ask();
    expect(first.must_ring).toBe(true);
    expect((await ask()).must_ring).toBe(false);
    // A turn that has looked, and is not over: it will look again.
    let gate = await turn();
    const meanwhile = await ask();
    expect(meanwhile.must_ring).toBe(false);
    expect(await look(gate, first.ticket)).toBe(true);
    expect([await answered(first.ticket), await answered(meanwhile.ticket)]).toEqual([true, false]);
    gate = await turn();
    expect(await look(gate, meanwhile.ticket)).toBe(false);
    expect(await answered(meanwhile.ticket)).toBe(true);
    expect((await ask()).must_ring).toBe(true);
  } finally {
    await worker.end();
  }
});

/** A worker by hand, that has shut its first gate: its turns, and what rings for it. */
async function byHand() {
  const [gates, bell] = [await session(), await session()];
  const rung: (string | undefined)[] = [];
  bell.on("notification", ({ payload }) => rung.push(payload));
  await bell.query("listen pg_replica_wake");
  const turn = async () => (await gates.query("select gate from raft.turn_gate(10)")).rows[0].gate;
  const look = async (gate: string) =>
    (await gates.query("select raft.open_gate($1, null, null) as more", [gate])).rows[0].more;
  await look(await turn());
  return {
    turn,
    look,
    /** All that rang until now. */
    heard: async () => {
      await bell.query("select 1");
      return rung;
    },
  };
}

test("while a turn is under way a proposal wakes nobody: the turn finds it when it is over", async () => {
  const worker = await byHand();
  const gate = await worker.turn();
  const caller = await session();
  const done = caller.query("select pg_replica.replicate('x') as index");
  await until("it is handed in", { limitMs: 3000 }, async () => {
    return (await store.db.query("select from raft.inbox")).rowCount === 1;
  });
  expect(await worker.heard()).toEqual([]);
  expect(await worker.look(gate)).toBe(true);
  working.push(lead(store, [store]));
  expect(BigInt((await done).rows[0].index)).toBeGreaterThan(0n);
});

test("a proposal that is there only when a turn has looked wakes the worker after all", async () => {
  const worker = await byHand();
  const gate = await worker.turn();
  const slow = await session();
  await slow.query("begin; lock table raft.inbox in share mode");
  const caller = await session();
  const done = caller.query("select pg_replica.replicate('x') as index");
  await until("it is being handed in", { limitMs: 900 }, async () => {
    const { rowCount } = await store.db.query(
      "select from pg_locks where relation = 'raft.inbox'::regclass and not granted",
    );
    return rowCount === 1;
  });
  expect(await worker.look(gate)).toBe(false);
  expect(await worker.heard()).toEqual([]);
  await slow.query("rollback");
  await until("the worker is woken", { limitMs: 3000 }, async () => {
    return (await worker.heard()).length === 1;
  });
  expect(await worker.heard()).toEqual(["read"]);
  working.push(lead(store, [store]));
  expect(BigInt((await done).rows[0].index)).toBeGreaterThan(0n);
});

test("an answer from before a crash answers nobody who asks after it", async () => {
  const { rows } = await store.db.query("select ticket from raft.ask_read()");
  const next = BigInt(rows[0].ticket) + 5n;
  await store.db.query("select raft.confirm_reads($1, 0)", [next]);
  expect(await answered(rows[0].ticket)).toBe(false);
});

test("who waits for another to wake the worker, and waits in vain, wakes it", async () => {
  // Asks, and is ended before it could ring.
  await store.db.query("select raft.ask_read()");
  const worker = await session();
  const rung = new Promise<string | undefined>((resolve) => {
    worker.on("notification", ({ payload }) => resolve(payload));
  });
  await worker.query("listen pg_replica_wake");
  const caller = await session();
  const read = caller.query("select pg_replica.kv_get('nothing') as v");
  expect(await rung).toBe("read");
  working.push(lead(store, [store]));
  expect((await read).rows).toEqual([{ v: null }]);
});

test("what a leader was handed that nobody confirmed is not done when it leads again", async () => {
  const caller = await session();
  const error = await errorOf(caller.query("select pg_replica.kv_put('long ago', 'v')"));
  expect(error.code).toBe("RF003");
  expect((await store.db.query("select from raft.inbox")).rowCount).toBe(1);
  await elect([store], 1);
  working.push(lead(store, [store]));
  await caller.query("select pg_replica.kv_put('now', 'v')");
  const { rows } = await caller.query("select key from pg_replica.kv_list()");
  expect(rows).toEqual([{ key: "now" }]);
  expect((await store.db.query("select from raft.inbox")).rowCount).toBe(0);
});

test("who still waits when a new term begins hands it in again, and it is there once", async () => {
  const caller = await session();
  const wait = caller.query("select pg_replica.replicate('x') as index");
  await until("it was handed in", { limitMs: 3000 }, async () => {
    return (await store.db.query("select from raft.inbox")).rowCount === 1;
  });
  await elect([store], 1);
  working.push(lead(store, [store]));
  const { index } = (await wait).rows[0];
  const { rows } = await store.db.query("select index, data from pg_replica.entries()");
  expect(rows).toEqual([{ index, data: "x" }]);
});

test("the role that hands in can do nothing by itself", async () => {
  const service = await session("pgreplica_service");
  const key = crypto.randomUUID();
  const calls: [string, unknown[]][] = [
    ["select node.take_in('00', $1, 'kv_reset', '{}', true)", [key]],
    ["select node.take_in(null, $1, 'kv_reset', '{}', true)", [key]],
    ["select node.sealed($1)", [key]],
    ["select key from node.seal", []],
    [
      "insert into raft.inbox (client, sequence, kind, body, term) values (gen_random_uuid(), 1, 'x', '{}', 8)",
      [],
    ],
    ["select raft.put_inbox($1, 'kv_reset', '{}')", [key]],
    ["delete from raft.inbox", []],
    ["select pg_replica.replicate('x')", []],
    ["select * from pg_replica.status()", []],
    ["select pgreplica.dblink('x', 'y')", []],
  ];
  for (const [call, values] of calls) {
    expect((await errorOf(service.query(call, values))).code, call).toBe("42501");
  }
  expect((await store.db.query("select from raft.inbox")).rowCount).toBe(0);
});

test("a caller with a dblink of its own finds the session it keeps, and gets nothing out of it", async () => {
  working.push(lead(store, [store]));
  await store.db.query(
    `create role intruder login in role pgreplica_admin;
     create schema theirs;
     create function theirs.dblink(text, text) returns setof record language c as '$libdir/dblink', 'dblink_record';
     create function theirs.dblink_connect(text, text) returns text language c as '$libdir/dblink', 'dblink_connect';
     grant usage on schema theirs to intruder`,
  );
  try {
    const intruder = await session("intruder");
    await intruder.query("select pg_replica.replicate('x')");
    const through = (sql: string) =>
      errorOf(
        intruder.query("select * from theirs.dblink('pgreplica hand_in', $1) as r (x text)", [sql]),
      );
    expect((await through("select session_user::text where 1 = 0; select 1/0")).code).toBe("22012");
    for (const sql of [
      "select key from node.seal",
      "select node.take_in('00', null, 'read', null, true)::text",
      "set role postgres",
      "copy (select 1) to program 'true'",
    ]) {
      expect((await through(sql)).code, sql).toBe("42501");
    }
    // Nor into the one that does what callers ask for: who comes so needs a password.
    const { rows } = await store.db.query(
      "select pgreplica.own_conninfo('pgreplica_caller', 1000) as conninfo",
    );
    const connect = "select theirs.dblink_connect('mine', $1)";
    const error = await errorOf(intruder.query(connect, [rows[0].conninfo]));
    expect(error.code).toBe("2F003");
  } finally {
    for (const client of open.splice(0)) await client.end();
    await store.db.query("drop schema theirs cascade; drop role intruder");
  }
});
