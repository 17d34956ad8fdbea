import { expect, test } from "vitest";
import {
  defaultK,
  majority,
  membersNeeded,
  reportsNeeded,
  voteResult,
} from "../../src/core/quorum.ts";
import { replay } from "../support/datadriven.ts";

test("majority votes and the arithmetic of a failover", async () => {
  await replay("test/core/testdata/majority.txt", ({ name, args }) => {
    if (name === "needed") return String(membersNeeded(Number(args.n), Number(args.k)));
    const voters = (args.voters ?? "").split(",");
    const votes = (args.votes ?? "").split(",");
    const heard = voters
      .map((id, i) => [id, votes[i] ?? "_"] as const)
      .filter(([, vote]) => vote !== "_")
      .map(([id, vote]) => [id, vote === "y"] as const);
    return voteResult(voters, new Map(heard));
  });
});

/** Every subset of n members as a bit mask, with its size. */
function subsets(n: number): { mask: number; size: number }[] {
  return Array.from({ length: 2 ** n }, (_, mask) => ({
    mask,
    size: mask.toString(2).replaceAll("0", "").length,
  }));
}

test("a late vote never changes a decided election, for up to 7 voters", () => {
  for (let n = 1; n <= 7; n += 1) {
    const voters = Array.from({ length: n }, (_, i) => i);
    for (const yes of subsets(n)) {
      for (const no of subsets(n).filter(({ mask }) => (mask & yes.mask) === 0)) {
        const heard = voters.filter((i) => ((yes.mask | no.mask) >> i) & 1);
        const votes = new Map(heard.map((i) => [i, ((yes.mask >> i) & 1) === 1]));
        const result = voteResult(voters, votes);
        const unheard = n - heard.length;
        expect(result === "won").toBe(yes.size >= majority(n));
        expect(result === "lost").toBe(yes.size + unheard < majority(n));
      }
    }
  }
});

test("n - k reports meet every possible commit set and n - k - 1 do not, for n up to 7 and every k", () => {
  for (let n = 1; n <= 7; n += 1) {
    for (let k = 0; k < n; k += 1) {
      const commits = subsets(n).filter(({ size }) => size === k + 1);
      const meetsAll = ({ mask }: { mask: number }) => commits.every((c) => (c.mask & mask) !== 0);
      const sets = subsets(n);
      const enough = sets.filter(({ size }) => size >= reportsNeeded(n, k));
      const tooFew = sets.filter(({ size }) => size === reportsNeeded(n, k) - 1);
      expect(enough.every(meetsAll), `n=${n} k=${k}`).toBe(true);
      expect(tooFew.some(meetsAll), `n=${n} k=${k}`).toBe(false);
    }
  }
});

test("two failovers at once always share a member, and one never misses a commit, for n up to 7", () => {
  for (let n = 1; n <= 7; n += 1) {
    for (let k = 0; k < n; k += 1) {
      const needed = membersNeeded(n, k);
      expect(2 * needed).toBeGreaterThan(n);
      expect(needed + k + 1).toBeGreaterThan(n);
      expect(needed).toBeLessThanOrEqual(n);
    }
  }
});

test("the default rule needs no more members for a failover than for an election when n is odd", () => {
  for (const n of [1, 3, 5, 7]) expect(membersNeeded(n, defaultK(n))).toBe(majority(n));
});
