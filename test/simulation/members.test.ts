/** R9 and R13 by the log alone: hand-made histories of members that change, each flagged, or in order. */
import { expect, test } from "vitest";
import type { Member } from "../oracle/twin/cluster.ts";
import { MemberChecks } from "./checkers/members.ts";

const life = (id: number, number = 1) => `${number}000000${id}-0000-4000-8000-00000000000${id}`;
const lives = (...ids: readonly number[]) => new Map(ids.map((id) => [id, life(id)]));

/** Voters 1 to 3, as an image at entry 10 holds them. */
function members() {
  const violated: string[] = [];
  const checks = new MemberChecks((invariant) => violated.push(invariant));
  const rows = [1, 2, 3].map((id) => row(id));
  checks.begin(rows, 10);
  let index = 10;
  const apply = (kind: string, node_id: number, incarnation = life(node_id)) => {
    index += 1;
    checks.applied({ index, kind, body: { node_id, incarnation } });
    return index;
  };
  return { checks, apply, violated };
}

function row(id: number, more: Partial<Member> = {}): Member {
  return { node_id: id, incarnation: life(id), voter: true, ...more } as Member;
}

test("changes one after the other, each behind an entry of its term, are in order", () => {
  const { checks, apply, violated } = members();
  checks.committed(2n);
  checks.proposed({ index: 11, term: 2n, kind: "add_member" }, undefined);
  apply("add_member", 4);
  checks.proposed({ index: 12, term: 2n, kind: "voter" }, undefined);
  const at = apply("voter", 4);
  checks.compare(
    1,
    [1, 2, 3, 4].map((id) => row(id)),
    at,
  );
  checks.won(4, 3, lives(1, 2, 4));
  expect(violated).toEqual([]);
});

test("R9: a second change before the first is committed", () => {
  const { checks, violated } = members();
  checks.committed(2n);
  checks.proposed({ index: 12, term: 2n, kind: "remove" }, 11);
  expect(violated).toEqual(["R9"]);
});

test("R9: a change before an entry of its term is committed; other entries may come", () => {
  const { checks, violated } = members();
  checks.committed(1n);
  checks.proposed({ index: 11, term: 2n, kind: "kv_set" }, undefined);
  expect(violated).toEqual([]);
  checks.proposed({ index: 12, term: 2n, kind: "voter" }, undefined);
  expect(violated).toEqual(["R9"]);
});

test("R9: an election won by a learner's vote, by who left, by a life that is over", () => {
  const learner = members();
  learner.apply("add_member", 4);
  learner.checks.won(1, 5, lives(1, 4));
  expect(learner.violated).toEqual(["R9"]);

  const left = members();
  left.apply("remove", 3);
  // Whoever campaigns may not know the last change yet; the one before it he must know.
  left.checks.won(1, 5, lives(1, 3));
  expect(left.violated).toEqual([]);
  left.apply("add_member", 4);
  left.checks.won(1, 6, lives(1, 3));
  expect(left.violated).toEqual(["R9"]);

  const reborn = members();
  const votes = new Map([...lives(1), [2, life(2, 7)] as const]);
  reborn.checks.won(1, 5, votes);
  expect(reborn.violated).toEqual(["R9"]);
});

test("R6: what a learner, or half the voters, hold is held by no majority", () => {
  const { checks, apply } = members();
  apply("add_member", 4);
  expect(checks.decide(lives(1, 4))).toBe(false);
  expect(checks.decide(lives(1, 2))).toBe(true);
  apply("readmit", 2, life(2, 7));
  // Voters are 1 and 3 now; by those before the change the former life of 2 still counts.
  expect(checks.decide(lives(1, 3))).toBe(true);
  expect(checks.decide(new Map([...lives(1), [2, life(2, 7)] as const]))).toBe(false);
});

test("R9: a node that takes a learner for a voter", () => {
  const { checks, apply, violated } = members();
  const at = apply("add_member", 4);
  checks.compare(
    2,
    [1, 2, 3, 4].map((id) => row(id)),
    at,
  );
  expect(violated).toEqual(["R9"]);
});

test("R13: who lags may know a member that left, and nobody who has applied its removal", () => {
  const { checks, apply } = members();
  const added = apply("add_member", 4);
  const removed = apply("remove", 4);
  for (const applied of [0, added, removed - 1]) {
    expect(checks.includedFrom(applied, 4, life(4))).toBe(true);
  }
  expect(checks.includedFrom(removed, 4, life(4))).toBe(false);
  expect(checks.includedFrom(0, 4, life(4, 7))).toBe(false);
});

test("R13: only the lives that the log knows belong", () => {
  const { checks, apply } = members();
  apply("remove", 3);
  apply("readmit", 2, life(2, 7));
  expect(checks.includes(3, life(3))).toBe(false);
  expect(checks.includes(2, life(2))).toBe(false);
  expect(checks.includes(2, life(2, 7))).toBe(true);
});
