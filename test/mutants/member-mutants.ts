/** M09 and M10: bugs of how the members change. */
import { type Mutant, test } from "./mutant.ts";

const CHANGES = "src/raft/changes.ts";

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
];
