/** Who confirms at the gate of a new primary. */
import { expect, test } from "vitest";
import { confirming } from "../../src/agent/standbys.ts";
import { joinerName, standbyName } from "../../src/core/ids.ts";

const incarnation = (id: number) => `0000000${id}-0000-4000-8000-000000000000`;
const members = [1, 2, 3].map((node_id) => ({
  node_id,
  name: `n${node_id}`,
  incarnation: incarnation(node_id),
  data_host: "h",
  data_port: 1,
  clone_from: false,
}));
const name = (id: number) => standbyName(id, incarnation(id));
const attached = (application_name: string, flush_lsn: bigint, state = "streaming") => ({
  application_name,
  state,
  flush_lsn,
  pid: 1,
  usename: `pgreplica_node_${application_name.split("_")[1]}`,
  slot: `pgreplica_${application_name.split("_")[1]}`,
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
  {
    why: "a joiner, not yet proved, counts for nothing",
    rows: [attached(joinerName(2, incarnation(2)), 90n)],
    count: 0,
  },
  {
    why: "a name borrowed by another login counts for nothing",
    rows: [{ ...attached(name(2), 50n), usename: "pgreplica_node_3" }],
    count: 0,
  },
  {
    why: "a second connection under a name, without its slot, counts for nothing",
    rows: [{ ...attached(name(2), 50n), slot: null }],
    count: 0,
  },
  { why: "two members are two", rows: [attached(name(2), 50n), attached(name(3), 60n)], count: 2 },
])("at the gate, $why", ({ rows, count }) => {
  const seen = { node_id: 1, members, rule_cohort: [1, 2, 3] };
  expect(confirming(rows, seen, 50n).size).toBe(count);
});
