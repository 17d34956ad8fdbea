/** Whether WAL can be continued by the newest epoch, and where two histories part, as tables of situations. */
import { expect, test } from "vitest";
import {
  chainDiffers,
  compareHistory,
  copyDiffers,
  deadTimelines,
  forkOf,
  ownTimelines,
  reachedEpoch,
  type Stamp,
} from "../../src/core/history.ts";

const history = [
  { epoch: 1n, node_id: 1, timeline: 2, switch_lsn: 0n, from_epoch: 0n },
  { epoch: 2n, node_id: 2, timeline: 3, switch_lsn: 1000n, from_epoch: 1n },
  { epoch: 3n, node_id: 3, timeline: 4, switch_lsn: 2000n, from_epoch: 2n },
];
const known = { history, node_id: 4, epoch: 3n };
const stamp = (epoch: bigint, node_id: number, timeline: number, switch_lsn = 0n): Stamp => ({
  epoch,
  node_id,
  timeline,
  switch_lsn,
  stamp_id: `of ${epoch} by ${node_id}`,
});

test.each([
  { why: "WAL that ends where the next epoch began", followed: 1n, lsn: 1000n, chain: "same" },
  {
    why: "WAL past the point where an epoch it never followed began",
    followed: 1n,
    lsn: 1001n,
    chain: "forked",
  },
  {
    why: "short of the newest, but past an earlier one it missed",
    followed: 1n,
    lsn: 1500n,
    chain: "forked",
  },
  { why: "WAL of an epoch it followed", followed: 2n, lsn: 1500n, chain: "same" },
  { why: "WAL of the newest epoch, which it follows", followed: 3n, lsn: 9000n, chain: "same" },
])("$why: $chain", ({ followed, lsn, chain }) => {
  expect(compareHistory({ ...known, followed }, lsn, []).chain).toBe(chain);
});

const givenUp = [
  { epoch: 1n, node_id: 1, timeline: 2, switch_lsn: 0n, from_epoch: 0n },
  { epoch: 2n, node_id: 2, timeline: 3, switch_lsn: 1000n, from_epoch: 1n },
  { epoch: 3n, node_id: 3, timeline: 4, switch_lsn: 2000n, from_epoch: 1n },
];

test.each([
  {
    why: "WAL of an epoch that the newest did not go on from",
    followed: 2n,
    lsn: 1500n,
    chain: "forked",
  },
  { why: "nothing of it, though it was followed", followed: 2n, lsn: 1000n, chain: "same" },
  { why: "WAL past its beginning, of the one before", followed: 1n, lsn: 1500n, chain: "same" },
  { why: "WAL past the newest's beginning", followed: 1n, lsn: 2001n, chain: "forked" },
  { why: "WAL of the newest", followed: 3n, lsn: 2500n, chain: "same" },
])("after an epoch that led nowhere, $why: $chain", ({ followed, lsn, chain }) => {
  const seen = compareHistory({ ...known, history: givenUp, followed }, lsn, []);
  expect(seen.chain).toBe(chain);
});

test("its own stamp convicts WAL of an epoch that led nowhere", () => {
  const seen = compareHistory({ ...known, history: givenUp, followed: 1n }, 1100n, [
    stamp(2n, 2, 3),
  ]);
  expect(seen).toEqual({
    chain: "forked",
    why: "it holds WAL of epoch 2, which the newest epoch did not go on from",
  });
});

test("timelines that lead nowhere are those given up and newer than the WAL's own", () => {
  const seen = { ...known, history: givenUp };
  expect([...deadTimelines({ ...seen, followed: 2n }, 1000n, [])]).toEqual([3]);
  expect([...deadTimelines({ ...seen, followed: 3n }, 2500n, [])]).toEqual([]);
  expect([...deadTimelines({ ...known, followed: 1n }, 500n, [])]).toEqual([]);
});

test("a stamp proves more than what was noted", () => {
  const stamps = [stamp(2n, 2, 3)];
  expect(compareHistory({ ...known, followed: 1n }, 1500n, stamps)).toEqual({ chain: "same" });
});

test.each([
  {
    why: "another node's stamp under a known epoch",
    stamps: [stamp(2n, 5, 3)],
    says: /not the one/,
  },
  { why: "another timeline under a known epoch", stamps: [stamp(2n, 2, 9)], says: /not the one/ },
  {
    why: "an older stamp that is wrong below a newer one that is right",
    stamps: [stamp(1n, 7, 2), stamp(2n, 2, 3)],
    says: /epoch 1 is not the one/,
  },
  { why: "a stamp of an epoch nobody began", stamps: [stamp(9n, 2, 12)], says: /has not begun/ },
])("$why proves nothing", ({ stamps, says }) => {
  const seen = compareHistory({ ...known, followed: 3n }, 900n, stamps);
  expect(seen).toMatchObject({ chain: "unproved", why: expect.stringMatching(says) });
});

test("the appointee's own unused appointments count for nothing", () => {
  const seen = compareHistory({ ...known, node_id: 2, followed: 1n }, 1500n, []);
  expect(seen).toEqual({ chain: "same" });
});

test("a timeline given to a later epoch is not this node's, though the number exists", () => {
  expect([...ownTimelines({ ...known, followed: 1n }, [])]).toEqual([1, 2]);
  expect([...ownTimelines({ ...known, followed: 1n }, [stamp(2n, 2, 3)])]).toEqual([1, 2, 3]);
});

test("timelines from before the founding are everybody's", () => {
  const history = known.history.map((one) => (one.epoch === 1n ? { ...one, timeline: 5 } : one));
  expect([...ownTimelines({ ...known, history, followed: 1n }, [])]).toEqual([1, 2, 3, 4, 5]);
});

test("WAL is known to be of the newest epoch it was told of or holds the stamp of", () => {
  const told = { ...known, followed: 1n };
  expect(reachedEpoch(told, [])).toBe(1n);
  expect(reachedEpoch(told, [stamp(1n, 1, 2), stamp(2n, 2, 3)])).toBe(2n);
  expect(reachedEpoch({ ...known, followed: 3n }, [stamp(2n, 2, 3)])).toBe(3n);
});

test.each([
  { why: "its stamps end with its primary's", stamps: [stamp(1n, 1, 2), stamp(2n, 2, 3)] },
  { why: "an epoch whose stamp reached nobody is missing", stamps: [stamp(2n, 2, 3)] },
])("a copy is what was appointed when $why", ({ stamps }) => {
  expect(copyDiffers(known, 2n, stamps)).toBeUndefined();
});

test.each([
  {
    why: "it lacks the stamp of the epoch",
    stamps: [stamp(1n, 1, 2)],
    says: /newest stamp is of epoch 1/,
  },
  {
    why: "it holds a later one",
    stamps: [stamp(2n, 2, 3), stamp(3n, 3, 4)],
    says: /newest stamp is of epoch 3/,
  },
  {
    why: "another node stamped it (H02)",
    stamps: [stamp(1n, 1, 2), stamp(2n, 5, 3)],
    says: /not the one/,
  },
  { why: "it holds none", stamps: [], says: /newest stamp is of epoch 0/ },
])("a copy is not what was appointed when $why", ({ stamps, says }) => {
  expect(copyDiffers(known, 2n, stamps)).toMatch(says);
});

test("a copy of an epoch that this node has not heard of proves nothing", () => {
  const unheard = { ...known, history: known.history.filter(({ epoch }) => epoch < 2n) };
  expect(copyDiffers(unheard, 2n, [stamp(2n, 2, 3)])).toMatch(/nobody is known to have led/);
});

const one = stamp(1n, 1, 2, 100n);
const two = stamp(2n, 2, 3, 1000n);
const three = stamp(3n, 3, 4, 900n);

test.each([
  { why: "the loser stopped in the epoch before", ours: [one], theirs: [one, two], fork: 1000n },
  {
    why: "the loser led an epoch that reached nobody, and began further on (F36)",
    ours: [one, two],
    theirs: [one, three],
    fork: 900n,
  },
  {
    why: "the same epoch number with another stamp is another history (H02)",
    ours: [one, two],
    theirs: [one, { ...two, stamp_id: "another" }],
    fork: 1000n,
  },
  { why: "equal chains part nowhere", ours: [one, two], theirs: [one, two], fork: undefined },
])("$why", ({ ours, theirs, fork }) => {
  expect(forkOf(ours, theirs)).toBe(fork);
  expect(chainDiffers(ours, theirs) === undefined).toBe(fork === undefined);
});
