/** Election and commit as a model: who may vote, what a majority is and what it commits come from src/core. */
import { committedIndex, type Progress } from "../../src/core/progress.ts";
import { voteResult } from "../../src/core/quorum.ts";
import type { Step } from "./explore.ts";

export interface Mistake {
  /** An election is won, and an entry committed, with one vote less than a majority. */
  readonly oneVoteLess?: boolean;
  /** Members take entries of a leader whose term is over: nothing fences it. */
  readonly noFencing?: boolean;
}

export interface Limits {
  readonly nodes: number;
  readonly terms: number;
  readonly entries: number;
  readonly crashes: number;
}

interface Member {
  readonly up: boolean;
  readonly term: number;
  /** The term it leads, or 0. */
  readonly leads: number;
  /** A letter an entry, in pairs with its term: `1a2b`. */
  readonly log: string;
}

export interface Cluster {
  readonly members: readonly Member[];
  readonly written: number;
  readonly committed: string;
  readonly crashes: number;
  readonly lost: string | null;
}

export function initialCluster({ nodes }: Limits): Cluster {
  const member = { up: true, term: 0, leads: 0, log: "" };
  const members = Array.from({ length: nodes }, () => member);
  return { members, written: 0, committed: "", crashes: 0, lost: null };
}

/** Members are alike: their order does not matter. */
export function keyOf({ members, ...rest }: Cluster): string {
  const faces = members.map((one) => `${one.up}${one.term}/${one.leads}/${one.log}`).sort();
  return `${faces.join(" ")} ${Object.values(rest).join(" ")}`;
}

const change = (cluster: Cluster, at: ReadonlySet<number>, how: (one: Member) => Member) => ({
  ...cluster,
  members: cluster.members.map((one, id) => (at.has(id) ? how(one) : one)),
});

function subsets([first, ...rest]: readonly number[]): number[][] {
  if (first === undefined) return [[]];
  return subsets(rest).flatMap((set) => [set, [first, ...set]]);
}

/** Term of the last entry and length, compared as Raft §5.4.1 has it. */
function isUpToDate(candidate: string, voter: string): boolean {
  const last = (log: string) => Number(log.at(-2) ?? 0);
  if (last(candidate) !== last(voter)) return last(candidate) > last(voter);
  return candidate.length >= voter.length;
}

function wins(votes: readonly number[], nodes: number, mistake: Mistake): boolean {
  const voters = Array.from({ length: nodes }, (_, id) => id);
  const extra = mistake.oneVoteLess ? voters.filter((id) => !votes.includes(id)).slice(0, 1) : [];
  const yes = new Map([...votes, ...extra].map((id) => [id, true] as const));
  return voteResult(voters, yes) === "won";
}

export function stepsOf(limits: Limits, mistake: Mistake) {
  return (cluster: Cluster): Step<Cluster>[] =>
    cluster.members.flatMap((_, id) => [
      ...elect(cluster, id, limits, mistake),
      ...commit(cluster, id, limits, mistake),
      ...crash(cluster, id, limits),
    ]);
}

function elect(cluster: Cluster, id: number, { terms }: Limits, mistake: Mistake): Step<Cluster>[] {
  const { members } = cluster;
  const candidate = members[id] as Member;
  const term = candidate.term + 1;
  if (!candidate.up || term > terms) return [];
  const willing = members.flatMap((one, at) => {
    const may = one.up && one.term < term && isUpToDate(candidate.log, one.log);
    return may && at !== id ? [at] : [];
  });
  return subsets(willing)
    .filter((others) => wins([id, ...others], members.length, mistake))
    .map((others) => {
      const voters = new Set([id, ...others]);
      const voted = change(cluster, voters, (one) => ({ ...one, term, leads: 0 }));
      const state = change(voted, new Set([id]), (one) => ({ ...one, leads: term }));
      const lacks = !candidate.log.startsWith(cluster.committed);
      const lost = lacks
        ? `${candidate.log || "nothing"} leads, ${cluster.committed} is committed`
        : null;
      return { label: `${id} wins term ${term} with ${others}`, state: { ...state, lost } };
    });
}

/** One entry to some of the others; committed if the leader's counting says so. */
function commit(
  cluster: Cluster,
  id: number,
  { entries }: Limits,
  mistake: Mistake,
): Step<Cluster>[] {
  const { members, written } = cluster;
  const leader = members[id] as Member;
  const { leads: term } = leader;
  if (!leader.up || term === 0 || written >= entries) return [];
  const log = `${leader.log}${term}${"abcdef"[written]}`;
  const takers = members.flatMap((one, at) => {
    const takes = one.up && at !== id && (mistake.noFencing || one.term <= term);
    return takes ? [at] : [];
  });
  return subsets(takers).map((others) => {
    const held = new Set([id, ...others]);
    const stored = change(cluster, held, (one) => ({
      ...one,
      log,
      term: Math.max(one.term, term),
      leads: one.term > term || one.leads === term ? one.leads : 0,
    }));
    const isCommitted = counted(members.length, held, log, leader.log.length / 2, mistake);
    const clash = isCommitted && !log.startsWith(cluster.committed);
    const state = {
      ...stored,
      written: written + 1,
      committed: isCommitted && !clash ? log : cluster.committed,
      lost: clash ? `${log} is committed beside ${cluster.committed}` : null,
    };
    return { label: `${id} of term ${term} writes ${log} to ${others}`, state };
  });
}

function counted(
  nodes: number,
  held: ReadonlySet<number>,
  log: string,
  before: number,
  { oneVoteLess }: Mistake,
): boolean {
  const ids = Array.from({ length: nodes }, (_, id) => id);
  const extra = oneVoteLess ? ids.find((id) => !held.has(id)) : undefined;
  const match = BigInt(log.length / 2);
  const progress = (id: number): Progress => {
    const has = held.has(id) || id === extra;
    return { next: match + 1n, match: has ? match : 0n, commit: 0n };
  };
  return (
    committedIndex(ids, new Map(ids.map((id) => [id, progress(id)])), BigInt(before) + 1n) > 0n
  );
}

function crash(cluster: Cluster, id: number, { crashes }: Limits): Step<Cluster>[] {
  const one = cluster.members[id] as Member;
  const flip = change(cluster, new Set([id]), (now) => ({ ...now, up: !now.up, leads: 0 }));
  if (!one.up) return [{ label: `${id} recovers`, state: flip }];
  if (cluster.crashes >= crashes) return [];
  const state = { ...flip, crashes: cluster.crashes + 1 };
  return [{ label: `${id} crashes`, state }];
}

export function marksOf({ members, committed }: Cluster): readonly string[] {
  const leading = members.filter(({ leads }) => leads > 0).map(({ leads }) => leads);
  const newest = Math.max(0, ...leading);
  return [
    ...(leading.some((term) => term < newest) ? ["stale writable leader"] : []),
    ...(committed !== "" && newest > Number(committed.at(-2)) ? ["failover after ack"] : []),
  ];
}

/** R1: one leader a term. R4, R5: what is committed stays. */
export function broken({ members, lost }: Cluster): string | undefined {
  const leading = members.filter(({ leads }) => leads > 0).map(({ leads }) => leads);
  if (new Set(leading).size < leading.length) return "R1: two leaders of one term";
  return lost === null ? undefined : `R4: ${lost}`;
}
