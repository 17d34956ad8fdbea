/**
 * W4: clients of the log as a service, on every node, through its control store and its data server: keys that are put,
 * deleted, compared and set, and read; entries that are replicated under request ids; and somebody who looks at each
 * node's log. Every call ends as acknowledged, refused (RF002: nothing was proposed) or unknown (H13).
 */
import type pg from "pg";
import { monotonicClock } from "../../../src/clock/clock.ts";
import { ABSENT, type Held, type KeyAction, type KeyOperation } from "../../histories/keys.ts";
import type { LogEntry, Look, Put } from "../../histories/log.ts";
import type { ClusterView } from "../cluster.ts";
import type { Random } from "../random.ts";
import { nextWriter } from "../round.ts";
import { hangUp, open, sqlstate } from "../sql.ts";

export interface Counts {
  ok: number;
  fail: number;
  unknown: number;
}

export interface Service {
  /** Each run has keys and request ids of its own. */
  readonly name: string;
  readonly operations: readonly KeyOperation[];
  readonly puts: readonly Put[];
  readonly looks: readonly Look[];
  /** Readings of keys that are promised to nobody: what a node has applied, maybe old. A control for the checker. */
  readonly local: readonly KeyOperation[];
  readonly counts: Readonly<Record<"keys" | "log", Readonly<Counts>>>;
  stop(): Promise<void>;
}

type Server = "control" | "data";

interface Run {
  readonly cluster: ClusterView;
  readonly random: Random;
  readonly pace: keyof typeof PAUSE_MS;
  readonly name: string;
  readonly operations: KeyOperation[];
  readonly puts: Put[];
  readonly looks: Look[];
  readonly local: KeyOperation[];
  readonly counts: Record<"keys" | "log", Counts>;
  readonly stopping: () => boolean;
}

const LIMITS = { connectMs: 1000, answerMs: 6000 };
/** From one call of a client to its next. `calm`, beside other loads: a call may cost four sessions. */
const PAUSE_MS = { eager: [20, 120], calm: [150, 900] } as const;
const AWAY_MS = 200;
/** A key is left after so many calls on each of three: the search grows with what is unknown. */
const CALLS = 150;
const TRIES = 4;

const now = () => monotonicClock.now();
/** One of the keys in use now. */
function someKey({ random, counts, name }: Run): string {
  const generation = Math.floor((counts.keys.ok + counts.keys.unknown) / (3 * CALLS));
  return `${name}/${generation}/${random.int(1, 3)}`;
}

const pause = ({ random, pace }: Run) => {
  const [least, most] = PAUSE_MS[pace];
  return monotonicClock.sleep(random.int(least, most));
};

/** Two clients of keys and one who looks for each node, and two of the log. */
export function startService(
  cluster: ClusterView,
  random: Random,
  pace: keyof typeof PAUSE_MS,
): Service {
  let stopping = false;
  const none = (): Counts => ({ ok: 0, fail: 0, unknown: 0 });
  const run: Run = {
    cluster,
    random,
    pace,
    name: `w4-${nextWriter()}`,
    operations: [],
    puts: [],
    looks: [],
    local: [],
    counts: { keys: none(), log: none() },
    stopping: () => stopping,
  };
  const clients = [
    ...cluster.nodes.flatMap(({ id }) => [
      useKeys(run, id, "control"),
      useKeys(run, id, "data"),
      look(run, id),
    ]),
    put(run, 0),
    put(run, 1),
  ];
  const { name, operations, puts, looks, local, counts } = run;
  const stop = async () => {
    stopping = true;
    await Promise.all(clients);
  };
  return { name, operations, puts, looks, local, counts, stop };
}

/** A session on one server, opened again after its loss; undefined while nobody is there. */
class Session {
  client: pg.Client | undefined;
  connectedAt = 0;

  async use(uri: string): Promise<pg.Client | undefined> {
    if (this.client !== undefined) return this.client;
    this.connectedAt = now();
    this.client = await open(uri, LIMITS).catch(() => undefined); // refused, or nobody there: no call was made
    if (this.client === undefined) await monotonicClock.sleep(AWAY_MS);
    return this.client;
  }

  drop(): void {
    if (this.client !== undefined) hangUp(this.client);
    this.client = undefined;
  }
}

const uriOf = ({ cluster }: Run, node: number, server: Server) => cluster.node(node)[server].uri;

async function useKeys(run: Run, node: number, server: Server): Promise<void> {
  const { random, operations, counts } = run;
  const session = new Session();
  const seen = new Map<string, number>();
  for (let n = 0; !run.stopping(); n++) {
    const client = await session.use(uriOf(run, node, server));
    if (client === undefined) continue;
    const key = someKey(run);
    const action = plan(random, `${node} ${server} ${n}`, seen.get(key) ?? 0);
    const startedAt = now();
    try {
      const answered = await callKey(client, key, action);
      operations.push({ key, action: answered, startedAt, endedAt: now() });
      counts.keys.ok += 1;
      if (answered.f !== "delete") seen.set(key, answered.answer?.version ?? 0);
    } catch (error) {
      const refused = sqlstate(error) === "RF002";
      counts.keys[refused ? "fail" : "unknown"] += 1;
      if (!refused) session.drop();
      if (!refused && action.f !== "get") {
        operations.push({ key, action, startedAt, endedAt: Number.POSITIVE_INFINITY });
      }
    }
    await pause(run);
  }
  session.drop();
}

/** What to ask; a reading has no answer yet. */
function plan(random: Random, value: string, expected: number): KeyAction {
  switch (random.weighted({ get: 4, put: 2, delete: 1, cas: 3 })) {
    case "get":
      return { f: "get", answer: ABSENT };
    case "put":
      return { f: "put", value };
    case "delete":
      return { f: "delete" };
    case "cas":
      return { f: "cas", expected, value: random.chance(0.1) ? null : value };
  }
}

const heldOf = (row: { version: string; value: string | null } | undefined): Held =>
  row === undefined ? ABSENT : { version: Number(row.version), value: row.value };

async function callKey(client: pg.Client, key: string, action: KeyAction): Promise<KeyAction> {
  const ask = async <T extends pg.QueryResultRow>(text: string, ...values: unknown[]) =>
    (await client.query<T>(text, [key, ...values])).rows[0];
  switch (action.f) {
    case "get": {
      const text = "select version, value from pg_replica.kv_get_entry($1)";
      return { ...action, answer: heldOf(await ask(text)) };
    }
    case "put": {
      const row = await ask("select pg_replica.kv_put($1, $2) as version", action.value);
      return { ...action, answer: { version: Number(row?.version) } };
    }
    case "delete": {
      const row = await ask("select pg_replica.kv_delete($1) as existed");
      return { ...action, answer: { existed: row?.existed === true } };
    }
    case "cas": {
      const text = "select swapped, version, value from pg_replica.kv_cas($1, $2, $3)";
      const row = await ask<{ swapped: boolean; version: string; value: string | null }>(
        text,
        action.expected,
        action.value,
      );
      return { ...action, answer: { swapped: row?.swapped === true, ...heldOf(row) } };
    }
  }
}

/** Entries under request ids, asked for again elsewhere after an error. */
async function put(run: Run, writer: number): Promise<void> {
  const { cluster, puts, counts, random } = run;
  const session = new Session();
  const size = cluster.nodes.length;
  const moved = { host: writer };
  for (let n = 0; !run.stopping(); n++) {
    const requestId = `${run.name}/${writer}/${n}`;
    const startedAt = now();
    let [index, node, refused, tries]: [number | undefined, number, boolean, number] = [
      undefined,
      0,
      true,
      0,
    ];
    while (index === undefined && tries < TRIES && !run.stopping()) {
      node = cluster.nodes[moved.host % size]?.id ?? 0;
      const server = Math.floor(moved.host / size) % 2 === 0 ? "control" : "data";
      const client = await session.use(uriOf(run, node, server));
      if (client === undefined) {
        moved.host += 1;
        continue;
      }
      tries += 1;
      try {
        const sql = "select pg_replica.replicate($1, $1) as index";
        index = Number((await client.query<{ index: string }>(sql, [requestId])).rows[0]?.index);
      } catch (error) {
        refused &&= sqlstate(error) === "RF002";
        session.drop();
        moved.host += 1;
      }
    }
    if (tries > 0) {
      const told = index === undefined ? {} : { index };
      refused &&= index === undefined;
      puts.push({ requestId, node, startedAt, endedAt: now(), refused, ...told });
      counts.log[index !== undefined ? "ok" : refused ? "fail" : "unknown"] += 1;
    }
    if (random.chance(0.05)) {
      session.drop();
      moved.host += 1;
    }
    await pause(run);
  }
  session.drop();
}

/** What a node's control store shows, from the last place seen there on, and what it holds of some key. */
async function look(run: Run, node: number): Promise<void> {
  const session = new Session();
  let after = 0;
  while (!run.stopping()) {
    const client = await session.use(uriOf(run, node, "control"));
    if (client === undefined) continue;
    const { connectedAt } = session;
    const startedAt = now();
    try {
      const all = await entriesAfter(client, after);
      after = all.at(-1)?.index ?? after;
      const entries = all.filter(({ requestId }) => requestId?.startsWith(`${run.name}/`));
      run.looks.push({ node, connectedAt, startedAt, endedAt: now(), entries });
      run.local.push(await readLocal(client, someKey(run)));
    } catch {
      session.drop(); // it shows nothing now
    }
    await pause(run);
  }
  session.drop();
}

async function readLocal(client: pg.Client, key: string): Promise<KeyOperation> {
  const startedAt = now();
  const { rows } = await client.query<{ version: string; value: string | null }>(
    "select version, value from pg_replica.kv_get_entry($1, 'local')",
    [key],
  );
  return { key, action: { f: "get", answer: heldOf(rows[0]) }, startedAt, endedAt: now() };
}

/** All of a node's log after a place. */
export async function entriesAfter(client: pg.Client, after: number): Promise<LogEntry[]> {
  const { rows } = await client.query<{ index: string; request_id: string | null; data: string }>(
    "select index, request_id, data from pg_replica.entries($1, 1000000)",
    [after],
  );
  return rows.map(({ index, request_id, data }) => ({
    index: Number(index),
    requestId: request_id,
    data,
  }));
}
