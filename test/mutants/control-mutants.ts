/** M01 to M16: bugs of consensus. */
import { AIMED, COMMANDS, type Mutant, TWIN } from "./mutant.ts";

const ELECTION = "src/core/election.ts";
const REPLICATOR = "src/raft/replicator.ts";

export const CONTROL_MUTANTS: readonly Mutant[] = [
  {
    id: "M01",
    bug: "two votes in one term",
    layer: "L1",
    caught: ["R1", "R2"],
    patches: [
      {
        file: TWIN,
        find: 'if ((state.votedFor ?? candidate) !== candidate) return "already_voted";',
        replace: "",
      },
    ],
  },
  {
    id: "M02",
    bug: "vote answered before COMMIT, or synchronous_commit=off",
    layer: "L2",
    why: "one call is one transaction in the twin: only a server can answer too early",
  },
  {
    id: "M03a",
    bug: "the up-to-date check looks at nothing",
    layer: "L1",
    caught: ["R4", "R5"],
    patches: [
      {
        file: TWIN,
        find: "return lastTerm < ours || (lastTerm === ours && lastIndex < last);",
        replace: "return lastTerm < 0n && lastIndex < last && ours < 0n;",
      },
    ],
    args: AIMED,
  },
  {
    id: "M03b",
    bug: "the up-to-date check refuses an equal log",
    layer: "L1",
    caught: ["D11"],
    patches: [
      {
        file: TWIN,
        find: "(lastTerm === ours && lastIndex < last)",
        replace: "(lastTerm === ours && lastIndex <= last)",
      },
    ],
  },
  {
    id: "M04",
    bug: "commit index over entries of old terms",
    layer: "L1",
    caught: ["R4", "R5", "R7"],
    patches: [
      {
        file: "src/core/progress.ts",
        find: "return held >= firstOfTerm ? held : 0n;",
        replace: "return held >= firstOfTerm ? held : held;",
      },
    ],
  },
  {
    id: "M05",
    bug: "learners or removed members counted",
    layer: "none",
    why: "membership does not change yet",
  },
  {
    id: "M06",
    bug: "the leader counts itself before its own commit",
    layer: "L1",
    caught: ["R6"],
    patches: [
      {
        file: REPLICATOR,
        find: "const commit = committedIndex(voters(), known, this.#firstOfTerm);",
        replace: `const own = { next: 0n, match: this.#lastIndex(), commit: 0n };
    const early = new Map(known).set(this.#options.me.nodeId, own);
    const commit = committedIndex(voters(), early, this.#firstOfTerm);`,
      },
    ],
  },
  {
    id: "M07a",
    bug: "no check of the previous entry",
    layer: "L1",
    caught: ["R3", "R5", "broken", "R6", "simulator"],
    patches: [
      {
        file: TWIN,
        find: "if (this.termAt(ask.prevIndex) !== ask.prevTerm) {",
        replace: "if (this.termAt(ask.prevIndex) === undefined) {",
      },
    ],
    args: AIMED,
  },
  {
    id: "M07b",
    bug: "a log that differs is never cut off",
    layer: "L1",
    caught: ["R3", "R5"],
    patches: [
      {
        file: TWIN,
        find: "const first = entries.find(({ index, term }) => this.termAt(index) !== term);",
        replace: "const first = entries.find(({ index }) => this.termAt(index) === undefined);",
      },
    ],
    args: AIMED,
  },
  {
    id: "M07c",
    bug: "a suffix that matches is cut off",
    layer: "L1",
    caught: ["R3", "R5", "R6", "broken"],
    patches: [
      {
        file: TWIN,
        find: "    if (first === undefined) return log;",
        replace:
          "    if (first === undefined) return entries.length === 0 ? log : log.slice(0, Number(entries[0]?.index));",
      },
    ],
  },
  {
    id: "M08",
    bug: "an answer that refuses the term is counted",
    layer: "L1",
    caught: ["R6", "R5"],
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
    args: AIMED,
  },
  {
    id: "M09",
    bug: "membership change before an own-term entry",
    layer: "none",
    why: "membership does not change yet",
  },
  {
    id: "M10",
    bug: "two membership changes in flight",
    layer: "none",
    why: "membership does not change yet",
  },
  {
    id: "M11",
    bug: "CheckQuorum off",
    layer: "L1",
    caught: ["D11"],
    patches: [
      {
        file: ELECTION,
        find: "if (at.now - confirmedAt(state) > state.timing.electionMs) {",
        replace: "if (at.now - confirmedAt(state) > 1000 * state.timing.electionMs) {",
      },
    ],
    args: ["--kinds", "deaf_leader"],
  },
  {
    id: "M12",
    bug: "snapshot installed in two transactions",
    layer: "none",
    why: "there are no snapshots yet",
  },
  {
    id: "M13",
    bug: "dedup table missing from the snapshot",
    layer: "none",
    why: "there are no snapshots yet",
  },
  {
    id: "M14",
    bug: "a retry executes again",
    layer: "L1",
    caught: ["R10"],
    patches: [
      {
        file: COMMANDS,
        find: "  if (cluster.proposals.has(key)) return { cluster };\n",
        replace: "",
      },
    ],
  },
  {
    id: "M15",
    bug: "read without quorum, or after a pause",
    layer: "none",
    why: "there are no linearizable reads yet",
  },
  {
    id: "M16",
    bug: "a wiped node keeps its member id and votes",
    layer: "L2",
    why: "a wiped control store refuses to run; what heals it is not simulated yet",
  },
];
