/** The reading functions of the control store, in states of a cluster, as golden text. */
import { join } from "node:path";
import type pg from "pg";
import { afterAll, beforeAll, test } from "vitest";
import { type Command, replay } from "../../support/datadriven.ts";
import { openScratch, type Scratch } from "../../support/scratch.ts";
import { elect, openStore, type Store, see, threeMembers } from "./stores.ts";

let scratch: Scratch;
let store: Store;

beforeAll(async () => {
  scratch = await openScratch("reads");
  store = await openStore(scratch, 2);
  await store.db.query("set timezone = 'UTC'");
  // The clock for display stands still, so that ages are exact.
  await store.db.query(
    `create or replace function raft.now() returns timestamptz language sql volatile set search_path = ''
     as $$ select timestamptz '2026-01-01 12:00:00Z' $$`,
  );
}, 60_000);
afterAll(() => scratch.close());

const READS = new Set([
  "status",
  "cluster",
  "primary",
  "members",
  "requests",
  "events",
  "history",
  "progress",
]);

/** Changes of the replicated state, each a row of SQL with the arguments it takes. */
const CHANGES: Readonly<
  Record<string, { readonly sql: string; readonly args: readonly string[] }>
> = {
  pause: { sql: "update cluster.state set paused_why = $1", args: ["why"] },
  forming: { sql: "update cluster.state set formed = false", args: [] },
  mode: { sql: "update cluster.state set mode = $1", args: ["is"] },
  rule: {
    sql: "update cluster.state set rule_k = $1, rule_cohort = string_to_array($2, ',')::integer[]",
    args: ["k", "cohort"],
  },
  "next-rule": {
    sql: "update cluster.state set next_k = $1, next_cohort = string_to_array($2, ',')::integer[]",
    args: ["k", "cohort"],
  },
  epoch: { sql: "update cluster.epoch set state = $1 where epoch = 2", args: ["state"] },
  "open-epoch": {
    sql: `select cluster.apply_open_epoch(8, jsonb_build_object('epoch', 3, 'cause', 'node_silent',
            'reason', $1::text, 'at', raft.now()))`,
    args: ["reason"],
  },
  handover: { sql: "update cluster.epoch set handover_to = $1 where epoch = 2", args: ["to"] },
  forget: { sql: "delete from node.observed where node_id = $1", args: ["node"] },
  unfounded: { sql: "delete from cluster.epoch", args: [] },
  witness: {
    sql: `update cluster.member set data_port = null, data_host = null, promotable = false
           where node_id = $1`,
    args: ["node"],
  },
  demote: {
    sql: "update cluster.member set promotable = false where node_id = $1",
    args: ["node"],
  },
  work: {
    sql: `insert into node.progress values ($1, $2, 'copying', 1048576, 4194304, raft.now() - interval '1 min')`,
    args: ["node", "job"],
  },
  event: {
    sql: `select cluster.note(7, jsonb_build_object('at', raft.now()), $1, 2, null, null, 'something happened')`,
    args: ["name"],
  },
  request: {
    sql: `insert into cluster.request
            (request_id, key, kind, state, args, from_node, to_node, requested_by, requested_at)
          select coalesce(max(request_id), 0) + 1, gen_random_uuid(), $1, $2, '{}', 1, 2, 'alice', raft.now()
            from cluster.request`,
    args: ["kind", "state"],
  },
};

async function handle({ name, args }: Command): Promise<string> {
  if (READS.has(name)) return table(store.db, `select * from pg_replica.${name}`);
  const change = CHANGES[name];
  if (change !== undefined) {
    const values = change.args.map((key) => words(key, args[key]));
    await store.db.query(change.sql, values);
    return "ok";
  }
  switch (name) {
    case "call":
      return table(store.db, `select * from pg_replica.${args.it}`);
    case "three-members":
      await threeMembers([store], []);
      await elect([store], 1);
      return "ok";
    case "elect":
      await elect([store], args.leader === "none" ? null : Number(args.leader));
      return "ok";
    case "see":
      await see(store.db, Number(args.node), facts(args));
      return "ok";
    default:
      throw new Error(`no command ${name}`);
  }
}

/** `why=storage_is_moved` as words: a command's arguments hold no blanks. */
const SENTENCES = new Set(["why", "reason", "problem"]);
const words = (key: string, text: string | undefined) =>
  SENTENCES.has(key) ? text?.replaceAll("_", " ") : text;

/** `state=streaming attached=2,3 writable=no` as fields of an observation. */
function facts({ node: _, ...args }: Readonly<Record<string, string>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(args).map(([key, text]) => {
      if (text === "yes" || text === "no") return [key, text === "yes"];
      if (key === "attached") return [key, text === "none" ? [] : text.split(",").map(Number)];
      return [key, words(key, text)];
    }),
  );
}

/** Every row on a line, `column=value`, nulls left out. */
async function table(db: pg.Client, sql: string): Promise<string> {
  const { rows } = await db.query(`select to_json(r) as row from (${sql}) as r`).catch(failure);
  if (rows.length === 0) return "(no row)";
  return rows.map(({ row }) => line(row)).join("\n");
}

function line(row: Record<string, unknown>): string {
  const told = Object.entries(row).filter(([, value]) => value !== null);
  return told
    .map(([key, value]) => `${key}=${typeof value === "object" ? JSON.stringify(value) : value}`)
    .join(" ");
}

function failure(error: unknown) {
  const { code, message, detail } = error as pg.DatabaseError;
  return { rows: [{ row: { error: code, message, detail: detail ?? null } }] };
}

test.each(["healthy", "trouble", "failover"])("what operators read: %s", async (name) => {
  await replay(join(import.meta.dirname, "testdata", `${name}.txt`), handle);
});
