/**
 * Keeps the primary's lease, beside the agent's loop and independent of it: renews it, arms the deadman with it, and
 * fences the data server when it ends (D7, H09, H30, H31).
 */
import { untilBeat, waitUntil } from "../clock/clock.ts";
import type { Epoch } from "../core/ids.ts";
import { invariant } from "../core/invariant.ts";
import {
  isFresh,
  isHeld,
  LEASE_TICK_MS,
  type LeaseEffect,
  type LeaseEvent,
  type LeaseState,
  makeNonce,
  nextTickMs,
  noLease,
  stepLease,
} from "../core/lease.ts";
import { type Hints, quietHints } from "../db/hints.ts";
import { type Agent, type Order, recheck } from "./context.ts";
import { Guard, noteAct } from "./guard.ts";
import { fenceServer } from "./servers.ts";

/** Where a lease comes from: Raft. */
export interface LeaseSource {
  /** When the newest quorum round began that confirmed this node as leader, and `epoch` as the newest, led here. */
  confirmedAt(epoch: Epoch): number | undefined;
  /** Leave a nonce with the leader, wherever it is; resolves with the nonces it has echoed. */
  askLease(nonce: bigint, hurry: boolean): Promise<readonly bigint[]>;
}

export interface LeaseOptions {
  readonly source: LeaseSource;
  readonly random: () => number;
}

const POLL_MS = 5;
/** Between two tries of a fence that could not be proved: each has a limit of its own. */
const AGAIN_MS = 50;

export class LeaseKeeper {
  readonly #agentOf: () => Agent;
  readonly #options: LeaseOptions;
  readonly #guard: Guard;
  #lease: LeaseState | undefined;
  /** Of the loop, when there is a lease to look after. */
  #wake: Hints | undefined;
  #fencing: Promise<void> | undefined;

  constructor(agentOf: () => Agent, options: LeaseOptions) {
    this.#agentOf = agentOf;
    this.#options = options;
    this.#guard = new Guard(agentOf);
  }

  /** Whether clients may be served here now. */
  held(): boolean {
    return isHeld(this.#state(), this.#agentOf().clock.now());
  }

  /** Until `signal` aborts; the deadman goes on. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#agentOf();
    this.#wake = quietHints(clock);
    while (!signal.aborted) {
      this.#beat();
      const now = clock.now();
      // In step with the worker's other loops, never later than due.
      const due = nextTickMs(this.#state(), now);
      const sleepMs = Math.min(due, untilBeat(now, Math.max(due, LEASE_TICK_MS)));
      await this.#wake.within(sleepMs, signal);
    }
    await this.#fencing;
    // A successor has as long as there can be.
    if (this.held()) await this.#guard.renew(this.#state().until);
    await this.#guard.leave();
  }

  /**
   * A promotion begins: the lease is asked for and the deadman started meanwhile. The report was the first question,
   * and the appointment its answer: a quorum round begun after it.
   */
  prepare(epoch: Epoch): void {
    const { clock, config, log, state } = this.#agentOf();
    this.#step({ type: "taken", epoch });
    const { reported } = state;
    if (reported?.epoch === epoch) this.#step({ type: "confirmed", epoch, at: reported.at });
    this.#beat();
    this.#guard.arm(clock.now() + config.timing.leaseMs).catch((error: unknown) => {
      // The gate waits for it, and says so.
      log.warn({ event: "deadman.failed" }, String(error));
    });
  }

  /** Before the gate opens: the lease is held and the deadman watches it. Waits as long as it takes. */
  async enter(order: Order): Promise<void> {
    const agent = this.#agentOf();
    const { clock } = agent;
    this.#step({ type: "taken", epoch: order.epoch });
    const limitMs = Number.MAX_SAFE_INTEGER;
    const wait = { clock, everyMs: POLL_MS, limitMs, signal: order.signal };
    await waitUntil("the primary's lease", wait, () => {
      this.#beat();
      return isFresh(this.#state(), clock.now());
    });
    await this.#guard.arm(this.#state().until);
    await this.#guard.renew(this.#state().until);
    recheck(agent, order);
    this.#step({ type: "serve" });
    if (this.#state().phase !== "serving")
      throw new Error("the lease ended before the gate opened");
  }

  /** A server found serving goes on by the lease its worker held; without one on record it is fenced at once. */
  async restore(epoch: Epoch): Promise<void> {
    const { clock } = this.#agentOf();
    if (this.#state().phase === "serving") return;
    const remaining = this.#guard.remainingMs() ?? Number.NEGATIVE_INFINITY;
    const until = clock.now() + remaining;
    this.#step({ type: "restored", epoch, until });
    if (this.held()) await this.#guard.arm(until);
  }

  /** The server is proved down: the deadman has nothing left to watch. */
  async release(): Promise<void> {
    this.#step({ type: "released" });
    await this.#guard.end();
  }

  #state(): LeaseState {
    const { clock, config } = this.#agentOf();
    this.#lease ??= noLease({ leaseMs: config.timing.leaseMs }, clock.now());
    return this.#lease;
  }

  #beat(): void {
    const { clock, state, log } = this.#agentOf();
    const { epoch, phase } = this.#state();
    if (phase === "none") return;
    clock.catchUp?.();
    if (isDown(this.#agentOf(), this.#state()) && this.#fencing === undefined) {
      this.release().catch((error: unknown) => {
        log.warn({ event: "deadman.failed" }, String(error));
      });
      return;
    }
    const at = this.#options.source.confirmedAt(epoch);
    if (at !== undefined) this.#step({ type: "confirmed", epoch, at });
    this.#step({ type: "tick" });
    if (this.#state().phase === "serving" && state.leads !== undefined) {
      this.#guard.check(this.#state().until);
    }
  }

  #step(event: LeaseEvent): void {
    const { clock } = this.#agentOf();
    const before = this.#state();
    const [next, effects] = stepLease(before, event, clock.now());
    this.#lease = next;
    // Where there was nothing to look after the loop is slow: a lease that was found may be about to end.
    if (before.phase === "none" && next.phase !== "none") this.#wake?.nudge();
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: LeaseEffect): void {
    const { log } = this.#agentOf();
    switch (effect.type) {
      case "ask":
        void this.#ask(effect.epoch, effect.hurry);
        return;
      case "renewed":
        this.#guard.renew(effect.until).catch((error: unknown) => {
          // Its end then comes from the deadman, early: safe, and worth a line.
          log.error({ event: "deadman.failed" }, `the lease could not be written: ${error}`);
        });
        return;
      case "fence":
        this.#fencing ??= this.#fence(effect.why).finally(() => {
          this.#fencing = undefined;
        });
        return;
    }
  }

  async #ask(epoch: Epoch, hurry: boolean): Promise<void> {
    const { source, random } = this.#options;
    const nonce = makeNonce(epoch, random());
    this.#step({ type: "asked", nonce });
    const echoes = await source.askLease(nonce, hurry);
    for (const echo of echoes) this.#step({ type: "echoed", nonce: echo });
  }

  /** Again and again until it is proved: nothing else may happen first. */
  async #fence(why: string): Promise<void> {
    const agent = this.#agentOf();
    const { log, clock, state, view } = agent;
    const { epoch } = this.#state();
    log.error({ event: "agent.lease_over", epoch }, why);
    for (let proved = false; !proved; ) {
      try {
        await fenceServer(agent, why);
        proved = true;
      } catch (error) {
        log.error({ event: "agent.failed", error: String(error) }, "the fence is not proved yet");
        await clock.sleep(AGAIN_MS);
      }
    }
    invariant(state.gone, "fenced without a proof");
    await this.release();
    await agent.publish();
    await noteAct(agent, { event: "fenced", reason: why, detail: { epoch: String(view.epoch) } });
    agent.nudge();
  }
}

/** Proved, or a server of ours that is no primary and becomes none: there is nothing to hold a lease for. */
function isDown({ state, view }: Agent, { epoch }: LeaseState): boolean {
  if (state.leads !== undefined || state.promoting) return false;
  const becomes = state.promotedFor?.epoch === epoch && view.epoch === epoch;
  return state.gone || (state.look?.in_recovery === true && !becomes);
}
