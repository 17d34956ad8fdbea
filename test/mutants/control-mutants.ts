/** M01 to M16: bugs of consensus. Those of the acceptor are planted in its SQL, and in the twin that is simulated. */
import { MEMBER_MUTANTS } from "./member-mutants.ts";
import { AIMED, COMMANDS, type Mutant, oracle, seeds, TWIN, test } from "./mutant.ts";

const ELECTION = "src/core/election.ts";
const REPLICATOR = "src/raft/replicator.ts";
const PROGRESS = "src/core/progress.ts";
const VOTE = "sql/20_peer/request_vote.sql";
const APPEND = "sql/20_peer/append_entries.sql";
const VOTES = "test/oracle/twin/votes.ts";
const STORE = "sql/10_raft/06_store_entries.sql";
/** A leader that is cut off and asked for something holds entries that nobody else does. */
const CUT_OFF = ["--kinds", "cut_primary,partition,switchover,switchover,one_way"];

export const CONTROL_MUTANTS: readonly Mutant[] = [
  {
    id: "M01a",
    bug: "two votes in one term",
    rule: "R1 R2",
    killer: seeds(19, "R1 R2"),
    patches: [
      {
        file: VOTES,
        find: 'if ((state.votedFor ?? candidate) !== candidate) return "already_voted";',
        replace: "",
      },
    ],
  },
  {
    id: "M01b",
    bug: "two votes in one term, in SQL",
    rule: "R2",
    killer: oracle(1),
    quick: true,
    patches: [
      { file: VOTE, find: "coalesce(v_state.voted_for, p_from) <> p_from ", replace: "false " },
    ],
  },
  {
    id: "M02a",
    bug: "a vote is answered before it is durable: the caller's synchronous_commit counts",
    rule: "R2 H51",
    killer: test("sql/peer/acceptor", "durable whatever session"),
    patches: [
      {
        file: VOTE,
        find: "  perform set_config('synchronous_commit', 'on', true);\n",
        replace: "",
      },
    ],
  },
  {
    id: "M02b",
    bug: "a worker runs on a store whose synchronous_commit is off",
    rule: "R2 H51",
    killer: test("control/store", "synchronous_commit off for the database"),
    patches: [
      {
        file: "src/db/durability.ts",
        find: '  { setting: "synchronous_commit", value: "off" },\n',
        replace: "",
      },
    ],
  },
  {
    id: "M03a",
    bug: "the up-to-date check looks at nothing",
    rule: "R4",
    killer: seeds(1, "R4 R5", AIMED),
    patches: [
      {
        file: VOTES,
        find: "return lastTerm < ours.lastTerm || (lastTerm === ours.lastTerm && lastIndex < ours.lastIndex);",
        replace: "return lastTerm < 0n && lastIndex < ours.lastIndex && ours.lastTerm < 0n;",
      },
    ],
  },
  {
    id: "M03b",
    bug: "the up-to-date check refuses an equal log",
    rule: "liveness",
    killer: seeds(1, "D11"),
    quick: true,
    patches: [
      {
        file: VOTES,
        find: "(lastTerm === ours.lastTerm && lastIndex < ours.lastIndex)",
        replace: "(lastTerm === ours.lastTerm && lastIndex <= ours.lastIndex)",
      },
    ],
  },
  {
    id: "M03c",
    bug: "logs are compared by their length only, in SQL",
    rule: "R4",
    killer: oracle(1),
    patches: [
      {
        file: VOTE,
        find: "(p_last_term, p_last_index) < (v_state.last_term, v_state.last_index)",
        replace: "p_last_index < v_state.last_index",
      },
    ],
  },
  {
    id: "M04",
    bug: "commit index over entries of old terms",
    rule: "R7 H52",
    killer: test("scenario/election", "of the own term only"),
    quick: true,
    patches: [
      { file: PROGRESS, find: "return held >= firstOfTerm ? held : 0n;", replace: "return held;" },
    ],
  },
  {
    id: "M05a",
    bug: "learners are counted",
    rule: "R6 R9",
    killer: test("scenario/election", "of the own term only"),
    patches: [
      {
        file: PROGRESS,
        find: "const matches = voters.map((id) => progress.get(id)?.match ?? 0n);",
        replace: "const matches = [...progress.values()].map(({ match }) => match);",
      },
    ],
  },
  {
    id: "M05b",
    bug: "a life that the log does not know has a vote, in SQL",
    rule: "R2 R9 H56",
    killer: test("control/rebirth", "its directory is gone"),
    patches: [
      {
        file: "sql/10_raft/06_has_voice.sql",
        find: "return raft.is_admitted() and exists (",
        replace: "return exists (",
      },
    ],
  },
  {
    id: "M05c",
    bug: "a store that the log does not know is counted",
    rule: "R6 R9 H56",
    killer: test("oracle/replicator", "does not know counts for nothing"),
    patches: [
      {
        file: REPLICATOR,
        find: "return new Map([...this.#progress].filter(([id]) => this.#options.isKnown(id)));",
        replace: "return this.#progress;",
      },
    ],
  },
  {
    id: "M06",
    bug: "the leader counts itself before its own commit",
    rule: "R6",
    killer: test("oracle/replicator", "and not before"),
    patches: [
      {
        file: REPLICATOR,
        find: "const commit = committedIndex(voters(), this.#known(), this.#firstOfTerm);",
        replace: `const own = { next: 0n, match: this.#window.lastIndex, commit: 0n };
    const early = this.#known().set(this.#options.me.nodeId, own);
    const commit = committedIndex(voters(), early, this.#firstOfTerm);`,
      },
    ],
  },
  {
    id: "M07a",
    bug: "no check of the previous entry, in SQL",
    rule: "R3 R5",
    killer: oracle(1),
    patches: [
      {
        file: APPEND,
        find: "if p_prev_index >= v_state.snapshot_index and v_at is distinct from p_prev_term then",
        replace: "if false then",
      },
    ],
  },
  {
    id: "M07b",
    bug: "a log that differs is never cut off, in SQL",
    rule: "R3 R5",
    killer: oracle(1),
    patches: [
      { file: STORE, find: "    delete from raft.log where index >= v_first;\n", replace: "" },
      {
        file: STORE,
        find: "from raft.chained(p_entries, v_first) as c;",
        replace: "from raft.chained(p_entries, v_first) as c on conflict (index) do nothing;",
      },
    ],
  },
  {
    id: "M07c",
    bug: "a suffix that matches is cut off, in SQL",
    rule: "R3 R6",
    killer: oracle(1),
    patches: [
      {
        file: STORE,
        find: "\n       and (select l.term from raft.log as l where l.index = e.i) is distinct from e.t;",
        replace: ";",
      },
      {
        file: STORE,
        find: "assert v_first > v_state.commit_index,\n      format('a leader would cut entry %s, %s is committed', v_first, v_state.commit_index);",
        replace: "v_first := greatest(v_first, v_state.commit_index + 1);",
      },
    ],
  },
  {
    id: "M07d",
    bug: "no check of the previous entry",
    rule: "R3 R5",
    killer: seeds(27, "R3 R5 R6", CUT_OFF),
    patches: [
      {
        file: TWIN,
        find: "this.termAt(ask.prevIndex) !== ask.prevTerm) {",
        replace: "this.termAt(ask.prevIndex) === undefined) {",
      },
    ],
  },
  {
    id: "M07e",
    bug: "a log that differs is never cut off",
    rule: "R3 R5",
    killer: seeds(27, "R3 R5 R6", CUT_OFF),
    patches: [
      {
        file: "test/oracle/twin/log.ts",
        find: "index > base.index && termAt(durable, index) !== term,",
        replace: "index > base.index && termAt(durable, index) === undefined && term > 0n,",
      },
    ],
  },
  {
    id: "M08",
    bug: "an answer that refuses the term is counted",
    rule: "R6",
    killer: test("oracle/replicator", "in a higher term refuses"),
    patches: [
      {
        file: REPLICATOR,
        find: `    if (reply.reason === "stale_term") {
      onHigherTerm(reply.term);
      return false;
    }
    this.#acked(link.id);`,
        replace: "    void onHigherTerm;\n    this.#acked(link.id);",
      },
    ],
  },
  ...MEMBER_MUTANTS,
  {
    id: "M11a",
    bug: "CheckQuorum off",
    rule: "liveness F14",
    killer: test("scenario/election", "leading.txt"),
    patches: [
      {
        file: ELECTION,
        find: "if (at.now - confirmedAt(state) > state.timing.electionMs) {",
        replace: "if (at.now - confirmedAt(state) > 1000 * state.timing.electionMs) {",
      },
    ],
  },
  {
    id: "M11b",
    bug: "PreVote off: who campaigns raises everybody's term",
    rule: "liveness F14 H54",
    killer: test("scenario/election", "campaign.txt"),
    patches: [
      {
        file: ELECTION,
        find: "if (at.now >= state.campaignAt) return startPreVote(state, at);",
        replace: "if (at.now >= state.campaignAt) return startVote(state, { transfer: true }, at);",
      },
    ],
  },
  {
    id: "M11c",
    bug: "a leader overhears that others are in a higher term",
    rule: "liveness F15",
    killer: test("scenario/election", "leading.txt"),
    patches: [
      {
        file: ELECTION,
        find: "if (state.leading === undefined || term <= state.leading) return [state, []];",
        replace: "if (state.leading === undefined || term >= 0n) return [state, []];",
      },
    ],
  },
  {
    id: "M14a",
    bug: "a retry executes again",
    rule: "R10 H60",
    killer: seeds(1, "R10"),
    patches: [
      {
        file: COMMANDS,
        find: "  if (cluster.proposals.has(key)) return { cluster };\n",
        replace: "",
      },
    ],
  },
  {
    id: "M14b",
    bug: "a retry executes again, in SQL",
    rule: "R10 H60",
    killer: oracle(1),
    patches: [
      {
        file: "sql/30_cluster/apply.sql",
        find: "if exists (select from cluster.proposal where client = p_client and sequence = p_sequence) then",
        replace: "if false then",
      },
      {
        file: "sql/30_cluster/apply.sql",
        find: "values (p_client, p_sequence, p_index, v_outcome);",
        replace: "values (p_client, p_sequence, p_index, v_outcome) on conflict do nothing;",
      },
    ],
  },
  {
    id: "M15b",
    bug: "a leader goes on after a pause",
    rule: "R12 H09",
    killer: test("scenario/election", "leading.txt"),
    patches: [
      {
        file: ELECTION,
        find: "if (gap > state.timing.electionMs / 2) {",
        replace: "if (gap > 1000 * state.timing.electionMs) {",
      },
    ],
  },
  {
    id: "M16",
    bug: "a wiped node keeps its member id and votes",
    rule: "R2 H56",
    killer: test("control/rebirth", "its directory is gone"),
    patches: [
      {
        file: "sql/10_raft/05_is_admitted.sql",
        find: "not i.reborn or coalesce(m.incarnation = i.incarnation, false)",
        replace: "true",
      },
    ],
  },
];
