/** M55 to M57: bugs of who decides while the members change, and of the commit rule that follows them. */
import { type Mutant, oracle, seeds, test } from "./mutant.ts";

/** The members change among the faults. */
const CHANGES = ["--changes"];
const MEMBERS = "test/oracle/twin/member-commands.ts";
const SITUATION = "src/coordinator/situation.ts";

export const CHANGE_MUTANTS: readonly Mutant[] = [
  {
    id: "M55a",
    bug: "a change of the members waits until the one before is in the log, not until it has taken effect",
    rule: "R9 H53",
    killer: seeds(1, "R9", CHANGES),
    patches: [
      {
        file: "src/raft/run.ts",
        find: "votersAt: applied,",
        replace: "votersAt: () => this.#sample?.lastIndex ?? last.lastIndex,",
      },
    ],
  },
  {
    id: "M55b",
    bug: "a leader counts by the voters of the day it was elected",
    rule: "R6 R9",
    killer: seeds(1, "R6 R9", CHANGES),
    patches: [
      {
        file: "src/raft/run.ts",
        find: "voters: () => this.#sample?.voters ?? last.voters,",
        replace: "voters: () => last.voters,",
      },
    ],
  },
  {
    id: "M55c",
    bug: "a learner's vote and its copy count",
    rule: "R6 R9",
    quick: true,
    killer: seeds(1, "R6 R9", CHANGES),
    patches: [
      {
        file: "test/oracle/twin/sample.ts",
        find: "    voter && (node_id",
        replace: "    (voter || true) && (node_id",
      },
    ],
  },
  {
    id: "M55d",
    bug: "who campaigns goes by the voters it first knew: who left has a vote",
    rule: "R9 H53",
    killer: seeds(1, "R9", CHANGES),
    patches: [
      {
        file: "src/core/election.ts",
        find: "const voters = sample.voters ?? before.voters;",
        replace: "const voters = before.voters.length > 0 ? before.voters : (sample.voters ?? []);",
      },
    ],
  },
  {
    id: "M56a",
    bug: "a readmitted life keeps the vote of the one it replaces",
    rule: "R9 H56",
    killer: seeds(1, "R9", CHANGES),
    patches: [
      {
        file: MEMBERS,
        find: "{ incarnation, voter: false, ...place }",
        replace: "{ incarnation, ...place }",
      },
    ],
  },
  {
    id: "M56b",
    bug: "a readmitted life keeps the vote of the one it replaces, in SQL",
    rule: "R9 H56",
    killer: test("oracle/members"),
    patches: [
      {
        file: "sql/30_cluster/apply_readmit.sql",
        find: "set incarnation = v_new, voter = false,",
        replace: "set incarnation = v_new,",
      },
    ],
  },
  {
    id: "M56c",
    bug: "who is readmitted keeps its old incarnation",
    rule: "R9 R13 H56",
    killer: seeds(1, "R9 R13", CHANGES),
    patches: [
      {
        file: MEMBERS,
        find: "{ incarnation, voter: false, ...place }",
        replace: "{ voter: false, ...place }",
      },
    ],
  },
  {
    id: "M56d",
    bug: "who left is heard as before",
    rule: "R13",
    killer: seeds(1, "R13", CHANGES),
    patches: [
      {
        file: "test/oracle/twin/voice.ts",
        find: "if (!left.has(nodeId) && identity.hasLogin?.(nodeId)) return;",
        replace: "if (left.has(nodeId) || identity.hasLogin?.(nodeId)) return;",
      },
    ],
  },
  {
    id: "M56e",
    bug: "a member leaves while a failover looks for its WAL, in SQL",
    rule: "D11",
    killer: oracle(1),
    patches: [
      {
        file: "sql/30_cluster/apply_leave.sql",
        find: "where e.state = 'opened'",
        replace: "where e.state = 'mutant'",
      },
    ],
  },
  {
    id: "M57a",
    bug: "a half-made commit rule that leaves out the new primary is gone on with",
    rule: "D1 D8",
    killer: test("coordinator/sync-rule", "leaves out who is to be primary"),
    patches: [
      {
        file: "src/coordinator/sync-rule.ts",
        find: "return next !== null && rule.cohort.includes(chosen) && !next.cohort.includes(chosen);",
        replace: "return next !== null && next.k < 0 && rule.cohort.includes(chosen);",
      },
    ],
  },
  {
    id: "M57b",
    bug: "a commit rule that nobody there can confirm is begun, turned back, and begun again",
    rule: "D11",
    killer: test("coordinator/sync-rule", "is not begun"),
    patches: [
      {
        file: "src/coordinator/sync-rule.ts",
        find: "return wanted === undefined || waits ?",
        replace: "return wanted === undefined || (waits && false) ?",
      },
    ],
  },
  {
    id: "M57c",
    bug: "a leader that is to leave waits for a primary that does not vote",
    rule: "D11",
    killer: test("coordinator/leaving", "gives way"),
    patches: [
      {
        file: SITUATION,
        find: "  if (memberOf(view, self)?.leaving !== true) return undefined;\n",
        replace: "  return undefined;\n",
      },
    ],
  },
  {
    id: "M57d",
    bug: "a voter that was wiped a moment ago counts among those that stay when another goes",
    rule: "R9 H56",
    killer: test("coordinator/leaving", "in the life that votes"),
    patches: [
      {
        file: "src/coordinator/situation.ts",
        find: 'fact?.store.reach === "ok" && fact.known',
        replace: 'fact?.store.reach === "ok"',
      },
    ],
  },
  {
    id: "M57e",
    bug: "a store that is only being made is given a vote, and missed when it stops",
    rule: "liveness",
    killer: test("core/membership", "no member at work"),
    patches: [
      {
        file: "src/core/membership.ts",
        find: "return beat > firstBeat;",
        replace: "return beat >= firstBeat;",
      },
    ],
  },
];
