/** Majority arithmetic, and nothing else (H10). */

export type VoteResult = "pending" | "won" | "lost";

/** How many of `size` members are more than half of them. */
export function majority(size: number): number {
  return Math.floor(size / 2) + 1;
}

/**
 * Decide an election as early as the votes allow: a late reply must not change it.
 * `true` is a yes, `false` a no, absent means not heard from yet.
 */
export function voteResult<Id>(voters: readonly Id[], votes: ReadonlyMap<Id, boolean>): VoteResult {
  const needed = majority(voters.length);
  const yes = voters.filter((id) => votes.get(id) === true).length;
  const unheard = voters.filter((id) => !votes.has(id)).length;

  if (yes >= needed) return "won";
  if (yes + unheard >= needed) return "pending";
  return "lost";
}

/** The newest moment that a majority has reached or passed; -Infinity while there is none. */
export function newestOfMajority<Id>(voters: readonly Id[], at: ReadonlyMap<Id, number>): number {
  const times = voters.map((id) => at.get(id) ?? Number.NEGATIVE_INFINITY);
  return times.sort((a, b) => b - a)[majority(voters.length) - 1] ?? Number.NEGATIVE_INFINITY;
}

/** How many standbys confirm a commit by default, so that commits and elections need equally many. */
export function defaultK(dataMembers: number): number {
  return Math.floor(dataMembers / 2);
}

/**
 * How many of n cohort members must report so that every set of k + 1 that could have
 * acknowledged a commit is met. The dead primary is one of the n.
 */
export function reportsNeeded(n: number, k: number): number {
  return n - k;
}

/** How many members must be there for a failover where voters and cohort are the same n. */
export function membersNeeded(n: number, k: number): number {
  return Math.max(majority(n), reportsNeeded(n, k));
}
