/**
 * When to campaign. Timers are for liveness alone (Raft §5.6): no vote, no commit and no lease is counted by them, so
 * each node may have its own, and may change them in any state.
 */

export interface Timing {
  /** The shortest election timeout; the real one is random in [E, 1.5 E). */
  readonly electionMs: number;
  /** After a refused connection a pre-vote starts within this, at random. */
  readonly jitterMs: number;
  /** A ballot that is not decided by then is over; one in which a rival stands after half of it. */
  readonly ballotMs: number;
}

export const DEFAULT_JITTER_MS = 80;
export const DEFAULT_BALLOT_MS = 300;

export interface Moment {
  readonly now: number;
  readonly random: number;
}

/** The part of an election's state that is about time. */
export interface Timers {
  readonly timing: Timing;
  /** Since when the own counter, term and leader are what they are. */
  readonly quietSince: number;
  /** The silence since then stands in the own store: it may vote. */
  readonly marked: boolean;
  /** When to campaign if it stays quiet. */
  readonly campaignAt: number;
}

/** When to campaign if nothing is heard from now on. */
export function campaignAfter({ electionMs }: Pick<Timing, "electionMs">, at: Moment): number {
  return at.now + electionMs * (1 + at.random / 2);
}

/** When the next tick has something to do, a voter's silence or campaign; while it follows. */
export function dueAt({ marked, quietSince, campaignAt, timing }: Timers): number {
  return marked ? campaignAt : Math.min(campaignAt, quietSince + timing.electionMs);
}

/**
 * Another election timeout, after a tick under the old one. A shorter one counts from now, a longer one from the next
 * sign of a leader: that no campaign is put off by it, however often it is changed.
 */
export function retimed<S extends Timers>(state: S, electionMs: number, at: Moment): S {
  const timing = { ...state.timing, electionMs };
  return { ...state, timing, campaignAt: Math.min(state.campaignAt, campaignAfter(timing, at)) };
}

/**
 * How long until the next look at the own store. Half as often as a leader beats is cheaper, and a silence is noticed a
 * little later; where heartbeats are few to an election it is more often, or a leader would think it had stood still.
 */
export function lookEveryMs(timing: {
  readonly heartbeatMs: number;
  readonly electionMs: number;
}): number {
  return Math.min(2 * timing.heartbeatMs, timing.electionMs / 4);
}
