/** Whether WAL can be continued by the newest epoch, as a table of situations. */
import { expect, test } from "vitest";
import { divergence } from "../../src/agent/follow.ts";
import { confirming } from "../../src/agent/gate.ts";
import { standbyName } from "../../src/core/ids.ts";

const history = [
  { epoch: 1n, node_id: 1, timeline: 2, switch_lsn: 0n },
  { epoch: 2n, node_id: 2, timeline: 3, switch_lsn: 1000n },
  { epoch: 3n, node_id: 3, timeline: 4, switch_lsn: 2000n },
];
const view = { history, node_id: 4, epoch: 3n };
const stamp = (epoch: bigint, node_id: number, timeline: number) => ({
  epoch,
  node_id,
  timeline,
  switch_lsn: 0n,
});

test.each([
  { why: "WAL that ends where the next epoch began", followed: 1n, lsn: 1000n, diverged: false },
  {
    why: "WAL past the point where an epoch it never followed began",
    followed: 1n,
    lsn: 1001n,
    diverged: true,
  },
  {
    why: "short of the newest, but past an earlier one it missed",
    followed: 1n,
    lsn: 1500n,
    diverged: true,
  },
  { why: "WAL of an epoch it followed", followed: 2n, lsn: 1500n, diverged: false },
  { why: "WAL of the newest epoch, which it follows", followed: 3n, lsn: 9000n, diverged: false },
])("$why", ({ followed, lsn, diverged }) => {
  expect(divergence({ ...view, followed }, lsn, undefined) !== undefined).toBe(diverged);
});

test("a stamp proves more than what was noted", () => {
  expect(divergence({ ...view, followed: 1n }, 1500n, stamp(2n, 2, 3))).toBeUndefined();
});

test("another node's stamp under a known epoch is another history", () => {
  expect(divergence({ ...view, followed: 2n }, 900n, stamp(2n, 5, 3))).toMatch(/not the one/);
});

test("a stamp of an epoch nobody began is a rogue's", () => {
  expect(divergence({ ...view, followed: 3n }, 900n, stamp(9n, 2, 12))).toMatch(/has not begun/);
});

test("the appointee's own unused appointments count for nothing", () => {
  expect(divergence({ ...view, node_id: 2, followed: 1n }, 1500n, undefined)).toBeUndefined();
});

const incarnation = (id: number) => `0000000${id}-0000-4000-8000-000000000000`;
const members = [1, 2, 3].map((node_id) => ({
  node_id,
  name: `n${node_id}`,
  incarnation: incarnation(node_id),
  data_host: "h",
  data_port: 1,
}));
const name = (id: number) => standbyName(id, incarnation(id));
const attached = (application_name: string, flush_lsn: bigint, state = "streaming") => ({
  application_name,
  state,
  flush_lsn,
  pid: 1,
});

test.each([
  {
    why: "each name counts once",
    rows: [attached(name(2), 50n), attached(name(2), 50n)],
    count: 1,
  },
  {
    why: "a name in other letters counts for nothing",
    rows: [attached(name(2).toUpperCase(), 50n)],
    count: 0,
  },
  { why: "a stranger counts for nothing", rows: [attached("pg_receivewal", 50n)], count: 0 },
  { why: "short of the stamp counts for nothing", rows: [attached(name(2), 49n)], count: 0 },
  { why: "catching up counts for nothing", rows: [attached(name(2), 50n, "catchup")], count: 0 },
  { why: "two members are two", rows: [attached(name(2), 50n), attached(name(3), 60n)], count: 2 },
])("at the gate, $why", ({ rows, count }) => {
  const seen = { node_id: 1, members, rule_cohort: [1, 2, 3] };
  expect(confirming(rows, seen, 50n).size).toBe(count);
});
