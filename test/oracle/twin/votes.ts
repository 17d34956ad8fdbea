/** What an acceptor says to a candidate, peer.pre_vote and peer.request_vote, and whom it takes for the leader. */
import type { LogIndex, NodeId, Term } from "../../../src/core/ids.ts";
import type { PreVoteReply, VoteReply, VoteRequest } from "../../../src/db/peer.ts";
import type { HardState } from "./learn-commit.ts";
import { sqlAssert } from "./sql-error.ts";

/** The store that is asked. */
export interface Voter {
  /** raft.has_voice */
  readonly hasVoice: boolean;
  /** raft.may_vote */
  readonly mayVote: boolean;
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
}

export function preVerdict(
  state: HardState,
  ask: VoteRequest,
  voter: Voter,
): PreVoteReply["reason"] {
  if (!voter.hasVoice) return "learner";
  if (ask.term <= state.term) return "stale_term";
  if (isBehind(ask, voter)) return "log_behind";
  return voter.mayVote ? "granted" : "not_marked";
}

export function verdict(
  state: HardState,
  candidate: NodeId,
  ask: VoteRequest,
  voter: Voter,
): VoteReply["reason"] {
  if (!voter.hasVoice) return "learner";
  if (ask.term > state.term) return "not_marked";
  if (ask.term < state.term) return "stale_term";
  if ((state.votedFor ?? candidate) !== candidate) return "already_voted";
  if (state.leaderId !== undefined) return "leader_known";
  return isBehind(ask, voter) ? "log_behind" : "granted";
}

function isBehind({ lastTerm, lastIndex }: VoteRequest, ours: Voter): boolean {
  return lastTerm < ours.lastTerm || (lastTerm === ours.lastTerm && lastIndex < ours.lastIndex);
}

/** raft.accept_leader, of a term that is not over. */
export function acceptLeader(before: HardState, term: Term, leader: NodeId): HardState {
  const newer = term > before.term;
  const votedFor = newer ? undefined : before.votedFor;
  const known = newer || before.leaderId === undefined;
  const state = known ? { ...before, votedFor, term, leaderId: leader } : before;
  sqlAssert(
    state.leaderId === leader,
    `nodes ${state.leaderId} and ${leader} both lead term ${term}`,
  );
  return state;
}
