/** Changes of the members: one at a time, each by what the one before has made of them (R9, H53). */
import { expect, test } from "vitest";
import { Changes } from "../../src/raft/changes.ts";

/** A log whose first entry of the term is 5; it is told how far it is applied. */
function changing() {
  const taken: string[] = [];
  const state = { index: 5n, settled: 0n };
  const changes = new Changes(5n, () => state.settled);
  const refused: string[] = [];
  const enter = (name: string) =>
    changes.enter({
      take: () => {
        taken.push(name);
        state.index += 1n;
        return state.index;
      },
      refuse: ({ message }) => refused.push(`${name}: ${message}`),
    });
  const settle = (index: bigint) => {
    state.settled = index;
    changes.next();
  };
  return { changes, enter, settle, taken, refused };
}

test("none before an entry of the own term is committed and counted by", () => {
  const { enter, settle, taken } = changing();
  enter("add 4");
  settle(4n);
  expect(taken).toEqual([]);
  settle(5n);
  expect(taken).toEqual(["add 4"]);
});

test("the next waits until the one before has taken effect", () => {
  const { enter, settle, taken } = changing();
  settle(5n);
  enter("add 4");
  enter("add 5");
  enter("remove 1");
  expect(taken).toEqual(["add 4"]);
  settle(6n);
  expect(taken).toEqual(["add 4", "add 5"]);
  settle(6n);
  expect(taken).toHaveLength(2);
  settle(7n);
  expect(taken).toEqual(["add 4", "add 5", "remove 1"]);
});

test("what had no turn when the term ended was not proposed, and is told so", () => {
  const { changes, enter, settle, taken, refused } = changing();
  enter("add 4");
  changes.end(new Error("over"));
  settle(9n);
  expect(taken).toEqual([]);
  expect(refused).toEqual(["add 4: over"]);
});
