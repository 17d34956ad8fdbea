/** M12, M13 and M43 to M46: bugs of a log that is cut short, and of what takes its place. */
import { type Mutant, oracle, seeds, test } from "./mutant.ts";

const INSTALL = "sql/20_peer/install_snapshot.sql";
const APPEND = "sql/20_peer/append_entries.sql";
const STATE = "sql/30_cluster/07_state_row.sql";
const SNAPSHOT = "test/oracle/twin/snapshot.ts";

export const SNAPSHOT_MUTANTS: readonly Mutant[] = [
  {
    id: "M12",
    bug: "snapshot installed in two transactions: the state before the last part has come",
    rule: "R11 H59",
    killer: test("oracle/snapshot", "parts change nothing"),
    patches: [
      {
        file: INSTALL,
        find: "  if v_have < p_parts then\n",
        replace: "  if v_have < p_parts then\n    perform cluster.replace_state(p_snapshot);\n",
      },
    ],
  },
  {
    id: "M13a",
    bug: "dedup table missing from the snapshot, in SQL",
    rule: "R10 R11",
    killer: test("oracle/snapshot", "every row, and every promise"),
    patches: [
      {
        file: STATE,
        find: "union all select 'proposal', to_jsonb(t) from cluster.proposal as t\n",
        replace: "",
      },
    ],
  },
  {
    id: "M13b",
    bug: "dedup table missing from the snapshot",
    rule: "R10 R11",
    killer: seeds(1, "R10 R11"),
    patches: [
      {
        file: SNAPSHOT,
        find: "const text = encode(cluster);",
        replace: "const text = encode({ ...cluster, proposals: new Map() });",
      },
    ],
  },
  {
    id: "M43a",
    bug: "entries are forgotten that are not applied yet, in SQL",
    rule: "R11 H59",
    killer: test("oracle/snapshot", "is never forgotten"),
    patches: [
      {
        file: "sql/10_raft/compact.sql",
        find: "least(v_through, v_state.applied_index, ",
        replace: "least(v_through, ",
      },
    ],
  },
  {
    id: "M43b",
    bug: "entries are forgotten that are not applied yet",
    rule: "R11 H59",
    killer: seeds(1, "R5 R6 R11 D11 broken"),
    patches: [
      {
        file: SNAPSHOT,
        find: "state.appliedIndex, base.index + MOST",
        replace: "base.index + MOST",
      },
    ],
  },
  {
    id: "M44",
    bug: "a snapshot is installed that is older than what is applied",
    rule: "R8 R11",
    killer: oracle(1),
    patches: [
      {
        file: INSTALL,
        find: "if p_index <= v_state.applied_index then",
        replace: "if p_index < 0 then",
      },
    ],
  },
  {
    id: "M45",
    bug: "a snapshot that opens an epoch pledges nobody for it",
    rule: "D5 H01",
    killer: oracle(1),
    quick: true,
    patches: [
      {
        file: "sql/30_cluster/replace_state.sql",
        find: "greatest(p.epoch, (cluster.newest_epoch()).epoch)",
        replace: "p.epoch",
      },
    ],
  },
  {
    id: "M46",
    bug: "where the log begins nothing is compared: the entry before it counts as missing",
    rule: "R3 liveness",
    killer: oracle(1),
    patches: [
      {
        file: APPEND,
        find: "if p_prev_index >= v_state.snapshot_index and v_at",
        replace: "if v_at",
      },
    ],
  },
  {
    id: "M62",
    bug: "a log that holds another entry of that place and term keeps what follows it, behind a snapshot",
    rule: "R3 H57",
    killer: oracle(33),
    patches: [
      {
        file: "sql/10_raft/begin_log.sql",
        find: " and raft.hash_at(p_index) = p_hash",
        replace: "",
      },
    ],
  },
];
