/**
 * Who leads: pre-vote, vote, check-quorum, as a pure state machine.
 *
 * The acceptor is SQL (`sql/20_peer`); this is the proposer. Time comes in as monotonic milliseconds,
 * chance as a number in [0, 1). Raft §5.2; thesis §9.6 (pre-vote), §6.4 (check-quorum), §3.10 (transfer); H54.
 */
import { type Counter, type Counters, noteCounter } from "./counters.ts";
import { campaignAfter, type Moment, type Timers, type Timing } from "./election-timers.ts";
import type { LogIndex, NodeId, Term } from "./ids.ts";
import { newestOfMajority, voteResult } from "./quorum.ts";

/** The own store as the worker last read it (`raft.sample`). */
export interface Sample {
  readonly bootId: string;
  readonly heard: bigint;
  readonly term: Term;
  readonly leaderId: NodeId | undefined;
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  /** A leader asked this node to campaign in the term after this one. */
  readonly transferTerm: Term | undefined;
  /** Who votes, as this store has applied it; left out: as before. */
  readonly voters?: readonly NodeId[];
  /** It has committed what it cannot apply: the voters may be others by now (H53). */
  readonly alarm?: string | undefined;
}

const FAST_TRIES = 4;

interface Ballot {
  readonly kind: "pre_vote" | "vote";
  readonly term: Term;
  readonly startedAt: number;
  readonly transfer: boolean;
  readonly votes: ReadonlyMap<NodeId, boolean>;
  /** Stand against this node in its vote, or vote for one that does. */
  readonly rivals: readonly NodeId[];
  /** Have not said yes or no, and are asked again at the next tick. */
  readonly again: ReadonlySet<NodeId>;
}

export interface ElectionState extends Timers {
  readonly self: NodeId;
  readonly voters: readonly NodeId[];
  readonly phase: "follower" | "candidate" | "leader";
  readonly sample: Sample | undefined;
  /** A fast campaign (refused connection) that failed may be tried so often again. */
  readonly fastTries: number;
  readonly ballot: Ballot | undefined;
  /** The highest term any reply showed. */
  readonly highestTerm: Term;
  /** While leading: the term, and when each acceptor last confirmed it. */
  readonly leading: Term | undefined;
  readonly ackedAt: ReadonlyMap<NodeId, number>;
  readonly tickedAt: number;
  /** What each peer's counter was, and since when we know it (`raft.may_vote`). */
  readonly counters: Counters;
}

export type ElectionEvent =
  | { readonly type: "sampled"; readonly sample: Sample }
  | { readonly type: "tick" }
  /** A connection to `peer` was closed and a new one refused: a hint, not a verdict. */
  | { readonly type: "lost"; readonly peer: NodeId }
  | {
      readonly type: "answered";
      readonly kind: "pre_vote" | "vote";
      readonly from: NodeId;
      /** The term we asked for. */
      readonly asked: Term;
      readonly term: Term;
      readonly granted: boolean;
      readonly reason: string;
      readonly counter?: Counter;
    }
  /** An acceptor confirmed our leadership of `term`. */
  | { readonly type: "acked"; readonly from: NodeId; readonly term: Term }
  | { readonly type: "refused"; readonly term: Term }
  /** This node will not go on leading, for a reason of its own. */
  | { readonly type: "resign"; readonly why: string }
  /** The own store did not answer: without it this node neither campaigns nor leads (H67). */
  | { readonly type: "blind"; readonly why: string }
  /** The own store cannot append: this campaign is over (H66). */
  | { readonly type: "unable" };

export type ElectionEffect =
  | { readonly type: "mark_silent"; readonly bootId: string; readonly heard: bigint }
  /** Ask these voters; the own store is one of them, and is tested for appends before it is asked (H66). */
  | { readonly type: "pre_vote"; readonly term: Term; readonly to: readonly NodeId[] }
  | {
      readonly type: "vote";
      readonly term: Term;
      readonly to: readonly NodeId[];
      readonly transfer: boolean;
    }
  | { readonly type: "lead"; readonly term: Term }
  /** Of the term that ends with this: ask another to campaign at once. */
  | { readonly type: "transfer"; readonly term: Term }
  | { readonly type: "step_down"; readonly why: string };

export type Step = readonly [ElectionState, readonly ElectionEffect[]];

export function initialElection(
  self: NodeId,
  voters: readonly NodeId[],
  timing: Timing,
  { now, random }: Moment,
): ElectionState {
  return {
    self,
    voters,
    timing,
    phase: "follower",
    sample: undefined,
    quietSince: now,
    marked: false,
    campaignAt: campaignAfter(timing, { now, random }),
    fastTries: 0,
    ballot: undefined,
    highestTerm: 0n,
    leading: undefined,
    ackedAt: new Map(),
    tickedAt: now,
    counters: new Map(),
  };
}

/** One event in, the next state and what to do out. */
export function step(state: ElectionState, event: ElectionEvent, at: Moment): Step {
  switch (event.type) {
    case "sampled":
      return onSample(state, event.sample, at);
    case "tick":
      return onTick(state, at);
    case "lost":
      return onLost(state, event.peer, at);
    case "answered":
      return onAnswer(state, event, at);
    case "acked":
      if (state.leading !== event.term) return [state, []];
      return [{ ...state, ackedAt: new Map(state.ackedAt).set(event.from, at.now) }, []];
    case "refused":
      return onHigherTerm(state, event.term, at);
    case "resign":
      return state.leading === undefined ? [state, []] : resign(state, event.why, at);
    case "blind": {
      const unseeing = { ...state, sample: undefined, ballot: undefined };
      return state.leading === undefined
        ? [{ ...unseeing, phase: "follower" }, []]
        : resign(unseeing, event.why, at);
    }
    case "unable":
      return [afterLostBallot({ ...state, fastTries: 0 }, at), []];
  }
}

function onSample(before: ElectionState, sample: Sample, at: Moment): Step {
  const old = before.sample;
  const moved =
    old === undefined ||
    old.bootId !== sample.bootId ||
    old.heard !== sample.heard ||
    old.term !== sample.term ||
    old.leaderId !== sample.leaderId;
  const voters = sample.voters ?? before.voters;
  const state = { ...before, sample, voters, highestTerm: higher(before, sample.term) };

  if (state.leading !== undefined) {
    if (sample.term > state.leading) return follow(state, "a higher term was seen", at);
    return [state, []];
  }
  const asked = sample.transferTerm === sample.term && sample.leaderId !== state.self;
  if (asked && !state.ballot && mayCampaign(state)) {
    return startVote(state, { transfer: true }, at);
  }
  const heardLeader = sample.leaderId !== undefined && old?.heard !== sample.heard;
  if (!moved || (state.ballot !== undefined && !heardLeader)) return [state, []];
  const rested = {
    ...state,
    quietSince: at.now,
    marked: false,
    campaignAt: campaignAfter(state.timing, at),
    fastTries: 0,
  };
  return [heardLeader ? { ...rested, phase: "follower", ballot: undefined } : rested, []];
}

function onTick(before: ElectionState, at: Moment): Step {
  const gap = at.now - before.tickedAt;
  const state = { ...before, tickedAt: at.now };
  if (state.leading !== undefined) {
    if (gap > state.timing.electionMs / 2) {
      return resign(state, `the worker stood still for ${Math.round(gap)} ms`, at);
    }
    if (at.now - confirmedAt(state) > state.timing.electionMs) {
      return follow(state, "no majority confirms this leader", at);
    }
    return [state, []];
  }
  if (state.ballot !== undefined) {
    if (at.now - state.ballot.startedAt <= patienceMs(state.ballot, state)) return askAgain(state);
    return [afterLostBallot(state, at), []];
  }
  if (!mayCampaign(state)) return [state, []];
  if (at.now >= state.campaignAt) return startPreVote(state, at);
  if (state.marked || at.now - state.quietSince < state.timing.electionMs) return [state, []];
  // Others may campaign sooner: this store votes from now on, or they would wait for the latest of all timers.
  return [{ ...state, marked: true }, [silenceOf(state.sample as Sample)]];
}

function mayCampaign({ sample, voters, self }: ElectionState): boolean {
  return sample !== undefined && sample.alarm === undefined && voters.includes(self);
}

function silenceOf({ bootId, heard }: Sample): ElectionEffect {
  return { type: "mark_silent", bootId, heard };
}

/** When a majority of the voters had confirmed this leader. */
function confirmedAt(state: ElectionState): number {
  return newestOfMajority(state.voters, state.ackedAt);
}

function onLost(state: ElectionState, peer: NodeId, at: Moment): Step {
  const { sample } = state;
  if (sample?.leaderId !== peer || state.leading !== undefined) return [state, []];
  const mark = silenceOf(sample);
  if (state.ballot !== undefined) return [state, [mark]];
  const campaignAt = Math.min(state.campaignAt, at.now + fastDelay(state, peer, at));
  return [{ ...state, marked: true, campaignAt, fastTries: FAST_TRIES }, [mark]];
}

/**
 * Everybody notices a death at once: they campaign in turn, the next id first, or two of three would split their
 * votes. The first does not wait; behind it chance keeps those apart that noticed at different moments.
 */
function fastDelay({ self, voters, timing }: ElectionState, lost: NodeId, at: Moment): number {
  const after = [...voters.filter((id) => id > lost), ...voters.filter((id) => id < lost)];
  const turn = Math.max(0, after.indexOf(self));
  return turn === 0 ? 0 : timing.jitterMs * (0.75 * turn + 0.25 * at.random);
}

function startPreVote(state: ElectionState, at: Moment): Step {
  const sample = state.sample as Sample;
  const term = higher(state, sample.term) + 1n;
  const ballot = { ...emptyBallot("pre_vote", term, at), transfer: false };
  return [
    { ...state, phase: "candidate", marked: true, ballot },
    [silenceOf(sample), { type: "pre_vote", term, to: state.voters }],
  ];
}

function startVote(
  state: ElectionState,
  { transfer }: { readonly transfer: boolean },
  at: Moment,
): Step {
  const term = transfer ? higher(state, 0n) + 1n : (state.ballot as Ballot).term;
  const ballot = { ...emptyBallot("vote", term, at), transfer };
  return [
    { ...state, phase: "candidate", ballot },
    [{ type: "vote", term, to: state.voters, transfer }],
  ];
}

function emptyBallot(kind: Ballot["kind"], term: Term, at: Moment): Omit<Ballot, "transfer"> {
  return { kind, term, startedAt: at.now, votes: new Map(), rivals: [], again: new Set() };
}

type Answered = Extract<ElectionEvent, { type: "answered" }>;

function onAnswer(before: ElectionState, event: Answered, at: Moment): Step {
  const counters = noteCounter(before.counters, event, at.now);
  const state = { ...before, counters, highestTerm: higher(before, event.term) };
  const { ballot } = state;
  if (ballot === undefined || ballot.kind !== event.kind || ballot.term !== event.asked) {
    return [state, []];
  }
  // No refusal: that voter's own worker may still be noticing, or the way to it is being opened.
  if (event.reason === "not_marked" || event.reason === "no_answer") {
    const again = new Set(ballot.again).add(event.from);
    return [{ ...state, ballot: { ...ballot, again } }, []];
  }
  const votes = new Map(ballot.votes).set(event.from, event.granted);
  const stands = event.reason === "already_voted";
  const rivals = stands ? [...ballot.rivals, event.from] : ballot.rivals;
  const counted = { ...state, ballot: { ...ballot, votes, rivals } };
  switch (voteResult(state.voters, votes)) {
    case "pending":
      return [counted, []];
    case "lost":
      return [afterLostBallot(counted, at), []];
    case "won":
      if (ballot.kind === "vote") return lead(counted, ballot.term, at);
      // Its own word says that it can append: without it a majority of others makes no leader (H66).
      return votes.get(state.self) === true
        ? startVote(counted, { transfer: false }, at)
        : [counted, []];
  }
}

function lead(state: ElectionState, term: Term, at: Moment): Step {
  const ackedAt = new Map(state.voters.map((id) => [id, at.now] as const));
  return [
    { ...state, phase: "leader", ballot: undefined, leading: term, ackedAt, tickedAt: at.now },
    [{ type: "lead", term }],
  ];
}

function onHigherTerm(before: ElectionState, term: Term, at: Moment): Step {
  const state = { ...before, highestTerm: higher(before, term) };
  if (state.leading === undefined || term <= state.leading) return [state, []];
  return follow(state, `a peer is in term ${term}`, at);
}

function follow(state: ElectionState, why: string, at: Moment): Step {
  const next: ElectionState = {
    ...state,
    phase: "follower",
    leading: undefined,
    ballot: undefined,
    ackedAt: new Map(),
    quietSince: at.now,
    marked: false,
    campaignAt: campaignAfter(state.timing, at),
  };
  return [next, [{ type: "step_down", why }]];
}

/**
 * A leader that ends its term itself says so: or all would wait for its silence to last, and a primary's lease, which
 * only a leader renews, would end meanwhile (Raft thesis §3.10).
 */
function resign(state: ElectionState, why: string, at: Moment): Step {
  const [next, effects] = follow(state, why, at);
  return [next, [{ type: "transfer", term: state.leading as Term }, ...effects]];
}

/** Ask again who has not made up its mind; a question on its way is not asked twice, it would delay what follows it. */
function askAgain(state: ElectionState): Step {
  const { again, ...ballot } = state.ballot as Ballot;
  if (again.size === 0) return [state, []];
  const { kind, term, transfer } = ballot;
  const to = [...again];
  const asked = { ...state, ballot: { ...ballot, again: new Set<NodeId>() } };
  return [
    asked,
    [kind === "pre_vote" ? { type: kind, term, to } : { type: kind, term, to, transfer }],
  ];
}

/** The rest may be as silent as the leader: a vote that is split is not waited for to the end. */
function patienceMs({ rivals }: Ballot, { timing }: ElectionState): number {
  return rivals.length > 0 ? timing.ballotMs / 2 : timing.ballotMs;
}

/**
 * A fast campaign is tried again soon, a few times; and so is one that a voter refused once it was past the pre-vote:
 * that voter stood itself, and the votes were split. Rivals take turns then, the lowest id first: at random they would
 * split them again where answers take as long as the time between two of them. Otherwise comes the ordinary timeout.
 */
function afterLostBallot(state: ElectionState, at: Moment): ElectionState {
  const { ballot, fastTries, self } = state;
  const refused = ballot?.kind === "vote" && [...ballot.votes.values()].includes(false);
  const turn = ballot?.rivals.filter((id) => id < self).length ?? 0;
  return {
    ...state,
    phase: "follower",
    ballot: undefined,
    fastTries: Math.max(0, fastTries - 1),
    campaignAt:
      refused || fastTries > 0
        ? at.now + state.timing.jitterMs * (0.25 + at.random + 3 * turn)
        : campaignAfter(state.timing, at),
  };
}

function higher(state: ElectionState, term: Term): Term {
  return state.highestTerm > term ? state.highestTerm : term;
}
