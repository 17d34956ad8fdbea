/** Reads through no log, and the gates where callers wait. */
import { AIMED, type Mutant, seeds, test } from "./mutant.ts";

export const READ_MUTANTS: readonly Mutant[] = [
  {
    id: "M15a",
    bug: "a question is answered as leader without a majority asked after it",
    rule: "R12 H31",
    killer: test("scenario/grants", "and not before"),
    patches: [
      {
        file: "src/raft/grants.ts",
        find: "    if (replicator.confirmedSince() < asked.at) return;\n",
        replace: "",
      },
    ],
  },
  {
    id: "M15c",
    bug: "a read is answered without a majority asked after it",
    rule: "R12",
    killer: test("scenario/gates", "and not before"),
    quick: true,
    patches: [
      { file: "src/raft/gates.ts", find: "confirmedSince() >= at", replace: "readIndex() !== 0n" },
    ],
  },
  {
    id: "M50",
    bug: "whoever finds the session that hands in may propose anything",
    rule: "H55",
    killer: test("sql/pg_replica/gates", "nothing by itself"),
    patches: [
      {
        file: "sql/40_pg_replica/07_take_in.sql",
        find: "if p_seal is distinct from node.sealed(format('%L, %L, %L, %L', p_key, p_kind, p_body, p_ring)) then",
        replace: "if false then",
      },
    ],
  },
  {
    id: "M15d",
    bug: "a new leader answers reads before an entry of its own term is committed",
    rule: "R12",
    killer: seeds(1265, "R12", AIMED),
    patches: [
      { file: "src/raft/replicator.ts", find: ">= this.#firstOfTerm ?", replace: ">= 0n ?" },
    ],
  },
  {
    id: "M15e",
    bug: "an answer that was given before a crash answers those who ask after it",
    rule: "R12",
    killer: test("sql/pg_replica/gates", "from before a crash"),
    patches: [
      {
        file: "sql/10_raft/confirm_reads.sql",
        find: "     and p_ticket <= (select a.last_value from raft.read_asked as a) then",
        replace: "  then",
      },
    ],
  },
  {
    id: "M15f",
    bug: "what is handed in as a turn has looked wakes nobody",
    rule: "H65",
    killer: test("sql/pg_replica/gates", "wakes the worker after all"),
    patches: [
      {
        file: "sql/40_pg_replica/09_hand_in.sql",
        find: "if not v_ring and raft.turn_is_over() then",
        replace: "if false then",
      },
    ],
  },
];
