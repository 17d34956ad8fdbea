/** M09, M10, M54, M63 and M70: bugs of how the members change, how they are found where they are, and who is one. */
import { corpus, type Mutant, oracle, seeds, test } from "./mutant.ts";

const CHANGES = "src/raft/changes.ts";
const MOVE = "src/worker/move.ts";

export const MEMBER_MUTANTS: readonly Mutant[] = [
  {
    id: "M09",
    bug: "membership change before an own-term entry",
    rule: "R9 H53",
    killer: test("scenario/changes", "none before an entry of the own term"),
    patches: [
      {
        file: CHANGES,
        find: "this.#last = firstOfTerm;",
        replace: "this.#last = firstOfTerm - 5n;",
      },
    ],
  },
  {
    id: "M10b",
    bug: "two membership changes in flight: the second does not wait until the first has taken effect",
    rule: "R9 H53",
    killer: test("scenario/changes", "the next waits"),
    quick: true,
    patches: [
      {
        file: CHANGES,
        find: "if (turn !== undefined) this.#last = turn.take();",
        replace: "if (turn !== undefined) turn.take();",
      },
    ],
  },
  {
    id: "M10a",
    bug: "two membership changes in flight",
    rule: "R9 H53",
    killer: test("oracle/members"),
    patches: [
      {
        file: "src/worker/register.ts",
        find: '    const { outcome } = await leadership.propose(kind, body);\n    refused ||= outcome !== "ok";',
        replace: "    void leadership.propose(kind, body);\n    refused ||= false;",
      },
    ],
  },
  {
    id: "M54a",
    bug: "a node that has moved tells nobody",
    rule: "liveness",
    killer: corpus("each-node-moves", 1, "D11"),
    patches: [{ file: MOVE, find: "await tell(options, ask);", replace: "void tell;" }],
  },
  {
    id: "M54b",
    bug: "where a member says that it is, nobody looks for it before that is committed",
    rule: "liveness",
    killer: corpus("one-of-two-moves", 1, "D11"),
    patches: [{ file: MOVE, find: "[...told, ...(await heardPlaces(store))]", replace: "told" }],
  },
  {
    id: "M54d",
    bug: "a node that has moved asks nobody where others have moved to",
    rule: "liveness",
    killer: corpus("two-of-three-move", 46, "D11"),
    patches: [
      { file: MOVE, find: "due === undefined ? [] : await askPlaces(options)", replace: "[]" },
    ],
  },
  {
    id: "M54c",
    bug: "an earlier life of a member moves it, in SQL",
    rule: "R13",
    killer: oracle(1),
    patches: [
      {
        file: "sql/30_cluster/apply_move.sql",
        find: "  elsif v_member.incarnation is distinct from (p_body ->> 'incarnation')::uuid then\n    return 'incarnation_differs';\n",
        replace: "",
      },
    ],
  },
  {
    id: "M63a",
    bug: "who has left is heard in its next life, as long as its login lasts",
    rule: "R13 H55",
    killer: seeds(12, "R13", [
      "--changes",
      "--kinds",
      "set_node,replace_node,kill_primary,add_node,partition",
    ]),
    patches: [
      {
        file: "test/oracle/twin/voice.ts",
        find: "!left.has(nodeId) && ",
        replace: "left.get(nodeId) !== incarnation && ",
      },
    ],
  },
  {
    id: "M63b",
    bug: "who has left is heard in its next life, as long as its login lasts, in SQL",
    rule: "R13 H55",
    killer: test("sql/pg_replica/recover", "refused in its next life"),
    patches: [
      {
        file: "sql/10_raft/02_check_unknown.sql",
        find: "elsif found or session_user",
        replace: "elsif session_user",
      },
    ],
  },
  {
    id: "M70",
    bug: "a store made anew never hears of a leader that joined after the members its file names",
    rule: "D11 H56",
    killer: corpus("a-stranger-leads", 840519, "D11"),
    patches: [
      {
        file: "src/raft/links.ts",
        find: "      onIntroduced(reply.members);\n",
        replace: "",
      },
    ],
  },
  {
    id: "M72a",
    bug: "a leader that lives again is refused for ever by a log that does not know it yet, in SQL",
    rule: "D11 R13",
    killer: test("sql/peer/newer-life", "it is heard as a leader"),
    patches: [
      {
        file: "sql/20_peer/append_entries.sql",
        find: "perform raft.check_leader(",
        replace: "perform raft.check_sender(",
      },
    ],
  },
  {
    id: "M72b",
    bug: "a life that has ended is heard as a leader, in SQL",
    rule: "R13 H56",
    killer: test("sql/peer/newer-life", "a life that has ended"),
    patches: [
      {
        file: "sql/10_raft/04_check_leader.sql",
        find: "and f.incarnation = p_incarnation",
        replace: "and f.incarnation is null",
      },
    ],
  },
];
