/** What one call of a peer may bring, and what its role may take: a member that went wrong harms itself alone. */
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nodePassword } from "../../../src/config/secrets.ts";
import type * as peer from "../../../src/db/peer.ts";
import { overTcp, type TestNode } from "../../control/node.ts";
import { append, entries, openSecond, type Second } from "./second.ts";

let opened: Second;
let node: TestNode;
let second: pg.Client;
let me: peer.Sender;

beforeAll(async () => {
  opened = await openSecond();
  ({ node, second, me } = opened);
}, 60_000);
afterAll(() => opened?.close());

/** SQLSTATE, message and detail of what went wrong. */
async function refusal(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "taken",
    (error: unknown) => {
      const { code, message, detail } = ((error as Error).cause ?? error) as pg.DatabaseError;
      return `${code} ${message}: ${detail}`;
    },
  );
}

test("an append of more entries, or of more bytes, than any leader sends is refused", async () => {
  expect(await refusal(append(opened, entries(513)))).toMatch(
    /^54000 node 2 sends 513 entries of \d+ bytes in one call: At most 512 entries and 8388608 bytes are taken\.$/,
  );
  expect(await refusal(append(opened, entries(9, { data: "x".repeat(1_000_000) })))).toMatch(
    /^54000 node 2 sends 9 entries of 9\d{6} bytes in one call/,
  );
  expect(await refusal(append(opened, entries(512)))).toBe("taken");
  const [{ count } = {}] = await node.sql("select count(*)::integer as count from raft.log");
  expect(count).toBe(512);
});

const refused: readonly [string, string, RegExp][] = [
  [
    "a snapshot in too many parts",
    "peer.install_snapshot(c, 2, i, 1, gen_random_uuid(), 1, 1, '', 1, 65537, '[]')",
    /^54000 node 2 sends part 1 of 65537, \d+ bytes in one call/,
  ],
  [
    "a part of a snapshot that is too long",
    "peer.install_snapshot(c, 2, i, 1, gen_random_uuid(), 1, 1, '', 1, 1, jsonb_build_array(repeat('x', 17000000)))",
    /^54000 node 2 sends part 1 of 1, 170\d+ bytes in one call/,
  ],
  [
    "gossip of more rows than there can be members",
    "peer.gossip(c, 2, i, (select jsonb_agg(n) from generate_series(1, 65) as n))",
    /^54000 node 2 sends 65 rows/,
  ],
  [
    "a suspicion longer than a row is",
    "peer.suspect(c, 2, i, jsonb_build_object('node_id', 2, 'problem', repeat('x', 70000)))",
    /^54000 node 2 sends a row of 70\d+ bytes/,
  ],
  [
    "a proposal of more than an entry may hold",
    "peer.submit(c, 2, i, gen_random_uuid(), 'entry', jsonb_build_object('data', repeat('x', 9000000)))",
    /^54000 node 2 sends a proposal of 90\d+ bytes, its kind of 5 in one call/,
  ],
];

test.each(refused)("%s is refused", async (_, call, expected) => {
  const text = `select from (values ($1::uuid, $2::uuid)) as v (c, i), lateral ${call} as r`;
  expect(await refusal(second.query(text, [me.clusterId, me.incarnation]))).toMatch(expected);
});

test("its role has limits of its own, and what it may not change stays", async () => {
  const settings = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"];
  for (const [name, shown] of [
    ...settings.map((one) => [one, one[0] === "s" ? "1min" : "10s"]),
    ["temp_file_limit", "64MB"],
  ]) {
    const { rows } = await second.query(`show ${name}`);
    expect(rows).toEqual([{ [name ?? ""]: shown }]);
  }
  expect(await refusal(second.query("set temp_file_limit = -1"))).toMatch(/^42501 /);
  expect(await refusal(second.query("create temp table t ()"))).toMatch(/^42501 /);
});

test("one member cannot take the connections of the others", async () => {
  const password = nodePassword(node.config, 2);
  const more = await Promise.all(
    Array.from({ length: 29 }, () => overTcp(node.config, "pgreplica_node_2", password)),
  );
  try {
    expect(await refusal(overTcp(node.config, "pgreplica_node_2", password))).toMatch(
      /^53300 too many connections for role "pgreplica_node_2"/,
    );
    const third = await overTcp(node.config, "pgreplica_node_3", nodePassword(node.config, 3));
    await third.end();
  } finally {
    await Promise.all(more.map((client) => client.end()));
  }
});
