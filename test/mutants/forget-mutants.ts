/** M51 and M52: bugs of how the cluster forgets its history; M60: of how users' entries are applied at once. */
import { COMMANDS, type Mutant, oracle, test } from "./mutant.ts";

const FORGET = "sql/30_cluster/apply_forget.sql";
const AT_ONCE = "sql/10_raft/apply_entries.sql";

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
  {
    id: "M60a",
    bug: "a retry among entries that are applied at once executes again",
    rule: "R10 H60",
    killer: test("oracle/at-once", "agrees after every run"),
    patches: [
      {
        file: AT_ONCE,
        find: "p.sequence = l.sequence) is null",
        replace: "p.sequence = l.sequence and false) is null",
      },
      {
        file: AT_ONCE,
        find: "from fresh as f\n  ), items",
        replace: "from fresh as f on conflict do nothing\n  ), items",
      },
    ],
  },
  {
    id: "M60b",
    bug: "an entry that cannot be applied with others is passed over with them",
    rule: "R5",
    killer: test("oracle/at-once", "stops the log there"),
    patches: [
      {
        file: AT_ONCE,
        find: "exception when others then\n  return false;",
        replace: "exception when others then\n  return true;",
      },
    ],
  },
];
