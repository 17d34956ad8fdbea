/** M51 and M52: bugs of how the cluster forgets its history. */
import { COMMANDS, type Mutant, oracle, test } from "./mutant.ts";

const FORGET = "sql/30_cluster/apply_forget.sql";

export const FORGET_MUTANTS: readonly Mutant[] = [
  {
    id: "M51a",
    bug: "a retry of a proposal that is forgotten executes again, in SQL",
    rule: "R10 H60",
    killer: test("sql/pg_replica/forget", "a retry from before"),
    patches: [
      {
        file: "sql/30_cluster/apply.sql",
        find: "< (select s.proposals_through from cluster.state as s) then",
        replace: "< 0 then",
      },
    ],
  },
  {
    id: "M51b",
    bug: "a retry of a proposal that is forgotten executes again",
    rule: "R10 H60",
    killer: oracle(1),
    patches: [
      {
        file: COMMANDS,
        find: 'if (isTooLate(cluster, big(body.since))) return { cluster: answered(cluster, "too_late") };',
        replace: "void isTooLate;",
      },
    ],
  },
  {
    id: "M52a",
    bug: "the newest event is forgotten, and its number given out again",
    rule: "R5",
    killer: test("sql/pg_replica/forget", "never the newest"),
    patches: [
      {
        file: FORGET,
        find: " and e.event_id < (select max(n.event_id) from cluster.event as n)",
        replace: "",
      },
    ],
  },
  {
    id: "M52b",
    bug: "a request is forgotten that goes on",
    rule: "R5 R10",
    killer: test("sql/pg_replica/forget", "never the newest"),
    patches: [{ file: FORGET, find: " and r.state not in ('waiting', 'running')", replace: "" }],
  },
];
