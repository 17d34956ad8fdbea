/**
 * The primary's lease as a pure state machine: its right to serve until a moment of its own monotonic clock, counted
 * from before it asked (H31). Time comes in as monotonic milliseconds.
 *
 * The end of a lease moves only by a quorum round that began after the moment it is counted from: a nonce of ours that
 * the leader echoed, or a round of our own leadership. Invariant (D7): while the gate is open and no fence has begun,
 * `now < until`.
 */
import type { Epoch } from "./ids.ts";

export interface LeaseTiming {
  /** D: how long a lease lasts, from before it was asked for. */
  readonly leaseMs: number;
}

/** No lease may last longer: an end further ahead was counted on another clock. */
export const LONGEST_LEASE_MS = 60_000;
/** F: a fence that began is proved by then (H26). */
export const FENCE_MS = 1000;
/** How far two monotonic clocks may drift apart: assumed, tested, not proved (H32). */
export const RATE_ERROR = 0.01;
/** The worker begins this much before the end, so that the deadman has nothing to do while the worker lives. */
export const EARLY_MS = 200;
/** Between two looks at the lease; where there is none, nothing waits for them. */
export const LEASE_TICK_MS = 100;
const IDLE_MS = 1000;
/** A lease renewed longer ago than this is asked for, this often. */
const ASK_MS = 300;
/** Unanswered nonces that are remembered. */
const MOST_ASKED = 32;

/** After this long without a renewal, as another node sees it, the old primary's fence is over. */
export function surelyOverMs({ leaseMs }: LeaseTiming): number {
  return (leaseMs + FENCE_MS) * (1 + RATE_ERROR);
}

/** A nonce carries its epoch, so that an echo can never stretch the lease of another one. */
const NONCE_BITS = 32n;

export function makeNonce(epoch: Epoch, random: number): bigint {
  return (epoch << NONCE_BITS) | BigInt(Math.floor(random * 2 ** 32));
}

export function epochOfNonce(nonce: bigint): Epoch {
  return nonce >> NONCE_BITS;
}

export interface LeaseState {
  readonly timing: LeaseTiming;
  /** The epoch it belongs to; 0: none. */
  readonly epoch: Epoch;
  /**
   * none: no primary here · taken: primary, nobody is served yet · serving: its end means the fence · over: it ended,
   * and nothing but the proved fence leads out of that.
   */
  readonly phase: "none" | "taken" | "serving" | "over";
  readonly until: number;
  readonly asked: readonly { readonly nonce: bigint; readonly at: number }[];
  readonly askedAt: number;
  readonly tickedAt: number;
}

export type LeaseEvent =
  /** This node's server is primary of `epoch`; its gate is closed. */
  | { readonly type: "taken"; readonly epoch: Epoch }
  /** It was found serving by a new worker; the lease its predecessor held ends then. */
  | { readonly type: "restored"; readonly epoch: Epoch; readonly until: number }
  /** A quorum round begun at `at` or later confirmed the leader, and `epoch` was the newest after it. */
  | { readonly type: "confirmed"; readonly epoch: Epoch; readonly at: number }
  | { readonly type: "asked"; readonly nonce: bigint }
  | { readonly type: "echoed"; readonly nonce: bigint }
  /** The gate is about to open: ignored unless the lease is held. */
  | { readonly type: "serve" }
  /** The server is proved down, or a standby. */
  | { readonly type: "released" }
  | { readonly type: "tick" };

export type LeaseEffect =
  /** `hurry`: half of it is gone. */
  | { readonly type: "ask"; readonly epoch: Epoch; readonly hurry: boolean }
  | { readonly type: "renewed"; readonly until: number }
  | { readonly type: "fence"; readonly why: string };

export type LeaseStep = readonly [LeaseState, readonly LeaseEffect[]];

export function noLease(timing: LeaseTiming, now: number): LeaseState {
  return {
    timing,
    epoch: 0n,
    phase: "none",
    until: Number.NEGATIVE_INFINITY,
    asked: [],
    askedAt: Number.NEGATIVE_INFINITY,
    tickedAt: now,
  };
}

/** Whether clients may be served now. */
export function isHeld({ phase, until }: LeaseState, now: number): boolean {
  return (phase === "taken" || phase === "serving") && now < until - EARLY_MS;
}

/** Whether it is worth opening the gate: enough is left for the next renewal to come. */
export function isFresh(state: LeaseState, now: number): boolean {
  return isHeld(state, now) && state.until - now >= state.timing.leaseMs / 2;
}

/** When the next tick is due. */
export function nextTickMs({ phase, until }: LeaseState, now: number): number {
  if (phase === "none") return IDLE_MS;
  if (phase !== "serving") return LEASE_TICK_MS;
  return Math.max(1, Math.min(LEASE_TICK_MS, until - EARLY_MS - now));
}

/** One event in, the next state and what to do out. */
export function stepLease(state: LeaseState, event: LeaseEvent, now: number): LeaseStep {
  switch (event.type) {
    case "taken":
      if (state.epoch === event.epoch && state.phase !== "none") return [state, []];
      return [{ ...noLease(state.timing, now), epoch: event.epoch, phase: "taken" }, []];
    case "restored": {
      const { epoch } = event;
      const until = event.until - now > LONGEST_LEASE_MS ? now : event.until;
      return [{ ...noLease(state.timing, now), epoch, until, phase: "serving" }, []];
    }
    case "confirmed":
      return event.epoch === state.epoch ? extend(state, event.at, now) : [state, []];
    case "asked": {
      const asked = [...state.asked, { nonce: event.nonce, at: now }].slice(-MOST_ASKED);
      return [{ ...state, asked, askedAt: now }, []];
    }
    case "echoed": {
      const known = state.asked.find(({ nonce }) => nonce === event.nonce);
      if (known === undefined || epochOfNonce(event.nonce) !== state.epoch) return [state, []];
      const asked = state.asked.filter(({ at }) => at > known.at);
      return extend({ ...state, asked }, known.at, now);
    }
    case "serve":
      return [isHeld(state, now) ? { ...state, phase: "serving" } : state, []];
    case "released":
      return [noLease(state.timing, now), []];
    case "tick":
      return onTick(state, now);
  }
}

/** Never from an end that has passed while clients were served: what has begun then is the fence. */
function extend(state: LeaseState, from: number, now: number): LeaseStep {
  const until = from + state.timing.leaseMs;
  const open = state.phase === "taken" || isHeld(state, now);
  if (!open || until <= state.until) return [state, []];
  return [{ ...state, until }, [{ type: "renewed", until }]];
}

function onTick(before: LeaseState, now: number): LeaseStep {
  const gap = now - before.tickedAt;
  const state = { ...before, tickedAt: now };
  if (state.phase === "none" || state.phase === "over") return [state, []];
  if (state.phase === "serving") {
    // What was checked before a pause is not true after it: fence first, ask later (H09).
    if (gap > state.timing.leaseMs / 2) {
      return over(state, `the worker stood still for ${Math.round(gap)} ms`);
    }
    if (!isHeld(state, now)) return over(state, "no majority renewed the lease in time");
  }
  return [state, askWhenDue(state, now)];
}

function over(state: LeaseState, why: string): LeaseStep {
  return [{ ...state, phase: "over", asked: [] }, [{ type: "fence", why }]];
}

/** A new primary asks at once: the way to the leader is open by the time it counts. */
function askWhenDue(state: LeaseState, now: number): LeaseEffect[] {
  const { until, askedAt, epoch, timing, phase } = state;
  const ageMs = timing.leaseMs - (until - now);
  const hurry = ageMs > timing.leaseMs / 2;
  const old = phase === "taken" || ageMs > 2 * ASK_MS;
  // Ticks come a little early or late: half a tick ago is too soon, a whole one is not.
  const due = old && now - askedAt >= (hurry ? LEASE_TICK_MS : ASK_MS) - LEASE_TICK_MS / 2;
  return due ? [{ type: "ask", epoch, hurry }] : [];
}
