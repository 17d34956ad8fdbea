/**
 * M59, M71, M73 to M75, M83: from whom a node copies its data and for how long, whose they are and when they are given
 * up, what holds others up.
 */
import { type Mutant, test } from "./mutant.ts";

const SOURCE = "src/core/copy-source.ts";

export const CLONE_MUTANTS: readonly Mutant[] = [
  {
    id: "M59a",
    bug: "a standby's copy takes the place of data that may hold more",
    rule: "D1 D4",
    killer: test("core/copy-source", "takes the place of nothing"),
    quick: true,
    patches: [
      {
        file: SOURCE,
        find: "  if (endLsn >= end) return undefined;",
        replace: "  if (endLsn >= 0n) return undefined;",
      },
    ],
  },
  {
    id: "M59b",
    bug: "what a standby's copy lacks is known, and not looked at",
    rule: "D1 D4",
    killer: test("agent/clone-from", "a copy that ends too early"),
    patches: [
      {
        file: "src/agent/clone.ts",
        find: "    return fallsShort(backup, needed) ?? backup;",
        replace: "    void fallsShort(backup, needed);\n    return backup;",
      },
    ],
  },
  {
    id: "M59c",
    bug: "a standby of another history is copied",
    rule: "D10 H02 H41",
    killer: test("core/copy-source", "only when all of it is proved"),
    patches: [
      {
        file: SOURCE,
        find: '{ stamps: "differ" },    use: "never"',
        replace: '{ stamps: "differ" },    use: "copy"',
      },
    ],
  },
  {
    id: "M59d",
    bug: "a standby whose copy led nowhere is copied again, and again",
    rule: "liveness",
    killer: test("agent/clone-from", "a copy that ends too early"),
    patches: [
      {
        file: "src/agent/copy-source.ts",
        find: "if (agent.state.standbyTried === order.epoch)",
        replace: "if (agent.state.standbyTried === -order.epoch)",
      },
    ],
  },
  {
    id: "M71",
    bug: "a copy waits for a primary that stopped answering, though a newer epoch needs this node",
    rule: "D11",
    killer: test("agent/clone-from", "a newer epoch waits for no primary"),
    patches: [
      {
        file: "src/agent/slots.ts",
        find: '    signal?.addEventListener("abort", hangUp, { once: true });\n',
        replace: "",
      },
    ],
  },
  {
    id: "M73",
    bug: "the data directory as it was before its last start is taken for today's",
    rule: "D4 H56",
    killer: test("agent/rejoin", "an older copy of the data"),
    patches: [
      {
        file: "src/agent/data-life.ts",
        find: "  await remember(agent, [next]);\n",
        replace: "",
      },
    ],
  },
  {
    id: "M74",
    bug: "a transaction that only holds a lock holds a report up",
    rule: "H22",
    killer: test("agent/held-up", "do not hold a report up"),
    patches: [
      {
        file: "src/db/data-standby.ts",
        find: "where not w.granted and h.granted",
        replace: "where w.granted and not h.granted",
      },
    ],
  },
  {
    id: "M75a",
    bug: "a hand-over is over with the shutdown checkpoint, whether a standby has it or not",
    rule: "H12",
    killer: test("agent/archive", "a hand-over is told while the archiver still runs"),
    patches: [
      {
        file: "src/agent/hand-over.ts",
        find: 'titles?.every((title) => !title.includes("walsender"))',
        replace: "titles !== undefined",
      },
    ],
  },
  {
    id: "M75b",
    bug: "a server that only archives keeps its lease, and is fenced for it",
    rule: "D7",
    killer: test("agent/archive", "a hand-over is told while the archiver still runs"),
    patches: [{ file: "src/agent/hand-over.ts", find: "  await lease.release();\n", replace: "" }],
  },
  {
    id: "M83a",
    bug: "data whose replay stands still are condemned, though their primary was silent",
    rule: "D1 D4",
    killer: test("agent/silent-primary", "falls silent while they catch up"),
    patches: [
      {
        file: "src/agent/join.ts",
        find: "  if (!heard) throw",
        replace: "  if (heard && !heard) throw",
      },
    ],
  },
  {
    id: "M83b",
    bug: "data are condemned for one record that takes its time to be replayed",
    rule: "D1 D4",
    killer: test("agent/silent-primary", "one record takes its time"),
    patches: [
      {
        file: "src/agent/join.ts",
        find: "  if (!waits) throw",
        replace: "  if (waits && !waits) throw",
      },
    ],
  },
];
