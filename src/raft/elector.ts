/** Ticks and answers in, effects out: the shell around `core/election.ts`. Decides nothing itself. */
import { type Clock, untilBeat } from "../clock/clock.ts";
import { provenCounter } from "../core/counters.ts";
import {
  type ElectionEffect,
  type ElectionEvent,
  type ElectionState,
  initialElection,
  step,
} from "../core/election.ts";
import { dueAt, lookEveryMs, retimed, type Timing } from "../core/election-timers.ts";
import type { NodeId, Term } from "../core/ids.ts";
import type { Queryable } from "../db/call.ts";
import type { Hints } from "../db/hints.ts";
import { preVote, requestVote, type Sender, type VoteRequest } from "../db/peer.ts";
import { markSilent, type StoreSample, sample, testAppend } from "../db/raft.ts";
import type { Log } from "../log/logger.ts";
import { type Link, NO_ANSWER } from "./links.ts";
import type { Counts } from "./standing.ts";

export interface ElectorOptions {
  readonly me: Sender;
  readonly timing: Timing & { readonly heartbeatMs: number };
  readonly store: Queryable;
  /** A link to every voter's store, the own one included. */
  readonly links: ReadonlyMap<NodeId, Link>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly hints: Hints;
  readonly onLead: (term: Term, last: StoreSample) => void;
  /** Its own term is about to end, by its own will. */
  readonly onTransfer: (term: Term) => void;
  readonly onStepDown: (why: string) => void;
  /** Whether this peer's store is the one the log knows: a vote of any other is none (H56). */
  readonly isKnown: (id: NodeId) => boolean;
  readonly counts?: Counts;
  /** Every fresh look at the own store. */
  readonly onSample: (sample: StoreSample) => void;
}

const OPEN_BALLOT_TICK_MS = 10;
const VOTE_LIMIT_MS = 300;
const LOOK_LIMIT_MS = 1000;

export class Elector {
  readonly #options: ElectorOptions;
  #state: ElectionState;
  #last: StoreSample | undefined;
  #heartbeatMs: number;

  constructor(options: ElectorOptions) {
    this.#options = options;
    this.#heartbeatMs = options.timing.heartbeatMs;
    this.#state = initialElection(options.me.nodeId, [], options.timing, this.#moment());
  }

  /** How long the leader has been silent, in ms. */
  quietMs(): number {
    return this.#options.clock.now() - this.#state.quietSince;
  }

  quietSince(): number {
    return this.#state.quietSince;
  }

  /** Other timers from now on; what is due under the old ones comes first. */
  retime({
    heartbeatMs,
    electionMs,
  }: Pick<ElectorOptions["timing"], "heartbeatMs" | "electionMs">) {
    this.dispatch({ type: "tick" });
    this.#heartbeatMs = heartbeatMs;
    this.#state = retimed(this.#state, electionMs, this.#moment());
    this.#options.hints.nudge();
  }

  /** Look, tick, act, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { hints } = this.#options;
    while (!signal.aborted) {
      await this.#look();
      this.dispatch({ type: "tick" });
      await hints.within(this.#pauseMs(), signal);
    }
  }

  /**
   * A peer's connection was closed and refused. Looked at afresh first: heartbeats that came between the last look
   * and the end would count as news from a leader that is gone.
   */
  async lost(peer: NodeId): Promise<void> {
    await this.#look();
    this.dispatch({ type: "lost", peer });
  }

  /** Until the next tick: a campaign begins when it is due, not at the next beat. */
  #pauseMs(): number {
    const { clock } = this.#options;
    const { ballot, leading, sample, voters, self, timing } = this.#state;
    if (ballot !== undefined) return OPEN_BALLOT_TICK_MS;
    const { electionMs } = timing;
    const look = untilBeat(
      clock.now(),
      lookEveryMs({ heartbeatMs: this.#heartbeatMs, electionMs }),
    );
    if (leading !== undefined || sample === undefined || !voters.includes(self)) return look;
    return Math.min(look, Math.max(1, dueAt(this.#state) - clock.now()));
  }

  dispatch(event: ElectionEvent): void {
    const { counts } = this.#options;
    if (event.type === "acked" && counts !== undefined) counts.messages += 1;
    const [state, effects] = step(this.#state, event, this.#moment());
    const sooner = state.campaignAt < this.#state.campaignAt;
    this.#state = state;
    if (sooner) this.#options.hints.nudge();
    for (const effect of effects) this.#perform(effect);
  }

  #moment() {
    return { now: this.#options.clock.now(), random: this.#options.random() };
  }

  async #look(): Promise<void> {
    try {
      const seen = await this.#sampleSoon();
      this.#noteLeader(seen);
      this.#last = seen;
      this.#options.onSample(seen);
      this.dispatch({ type: "sampled", sample: seen });
    } catch (error) {
      this.#options.log.debug({ event: "control.gone" }, String(error));
      this.dispatch({ type: "blind", why: "the own control store does not answer" });
    }
  }

  async #sampleSoon(): Promise<StoreSample> {
    const { store, clock } = this.#options;
    const nap = new AbortController();
    const late = clock.sleep(LOOK_LIMIT_MS, nap.signal).then(() => undefined);
    try {
      const seen = await Promise.race([sample(store), late]);
      if (seen === undefined) throw new Error(`no answer within ${LOOK_LIMIT_MS} ms`);
      return seen;
    } finally {
      nap.abort();
    }
  }

  #noteLeader(seen: StoreSample): void {
    if (seen.leaderId === this.#last?.leaderId && seen.term === this.#last?.term) return;
    if (seen.leaderId === undefined || seen.leaderId === this.#options.me.nodeId) return;
    this.#options.log.info(
      { event: "raft.follower", term: seen.term, leader: seen.leaderId },
      `node ${seen.leaderId} leads term ${seen.term}`,
    );
  }

  #perform(effect: ElectionEffect): void {
    const { log, onLead, onTransfer, onStepDown, counts } = this.#options;
    switch (effect.type) {
      case "mark_silent":
        void this.#markSilent();
        return;
      case "pre_vote":
        void this.#preVote(effect.term, effect.to);
        return;
      case "vote":
        if (effect.to.length === this.#state.voters.length) {
          const fields = {
            event: "raft.campaign",
            term: effect.term,
            transfer: effect.transfer,
          } as const;
          if (counts !== undefined) counts.elections += 1;
          log.info(fields, effect.transfer ? "the leader hands over" : "the leader is silent");
        }
        for (const id of effect.to) void this.#vote(id, effect.term, effect.transfer);
        return;
      case "lead":
        onLead(effect.term, this.#last as StoreSample);
        return;
      case "transfer":
        onTransfer(effect.term);
        return;
      case "step_down":
        onStepDown(effect.why);
        return;
    }
  }

  /** With a fresh look: the mark must name the counter as it is now. */
  async #markSilent(): Promise<void> {
    const { store, log } = this.#options;
    const { bootId, heard } = this.#state.sample ?? {};
    if (bootId === undefined || heard === undefined) return;
    try {
      if (await markSilent(store, { bootId, heard })) {
        log.debug({ event: "raft.leader_silent" }, "nothing heard since the last look");
      }
    } catch (error) {
      log.debug({ event: "control.gone" }, String(error));
    }
  }

  /** The others are asked at once; the own store, without whose word nothing is won, once it has appended (H66). */
  async #preVote(term: Term, to: readonly NodeId[]): Promise<void> {
    const { me } = this.#options;
    const first = to.length === this.#state.voters.length;
    const own = to.includes(me.nodeId);
    const others = to.filter((id) => id !== me.nodeId).map((id) => this.#preVoteOf(id, term));
    if (own && (!first || (await this.#canAppend()))) await this.#preVoteOf(me.nodeId, term);
    await Promise.all(others);
  }

  async #canAppend(): Promise<boolean> {
    try {
      await testAppend(this.#options.store);
      return true;
    } catch (error) {
      this.#options.log.warn({ event: "raft.alarm" }, `this store cannot append: ${error}`);
      this.dispatch({ type: "unable" });
      return false;
    }
  }

  async #preVoteOf(id: NodeId, term: Term): Promise<void> {
    const { me, links } = this.#options;
    const ask = this.#request(id, term);
    const reply = await links
      .get(id)
      ?.call("work", VOTE_LIMIT_MS, (client) => preVote(client, me, ask));
    if (reply === undefined || reply === NO_ANSWER) {
      this.#unreachable(id, "pre_vote", term);
      return;
    }
    const counter = { bootId: reply.boot_id, heard: reply.heard };
    const answer = { ...reply, granted: reply.granted && this.#options.isKnown(id) };
    this.dispatch({
      type: "answered",
      kind: "pre_vote",
      from: id,
      asked: term,
      counter,
      ...answer,
    });
  }

  async #vote(id: NodeId, term: Term, transfer: boolean): Promise<void> {
    const { me, links } = this.#options;
    const ask = { ...this.#request(id, term), transfer };
    const reply = await links
      .get(id)
      ?.call("work", VOTE_LIMIT_MS, (client) => requestVote(client, me, ask));
    if (reply === undefined || reply === NO_ANSWER) {
      this.#unreachable(id, "vote", term);
      return;
    }
    const answer = { ...reply, granted: reply.granted && this.#options.isKnown(id) };
    this.dispatch({ type: "answered", kind: "vote", from: id, asked: term, ...answer });
  }

  /** Nothing listens there: a no that need not be waited for. Anyone else may still answer. */
  #unreachable(from: NodeId, kind: "pre_vote" | "vote", asked: Term): void {
    const refused = this.#options.links.get(from)?.reach().reach === "refused";
    const reason = refused ? "unreachable" : "no_answer";
    this.dispatch({ type: "answered", kind, from, asked, term: 0n, granted: false, reason });
  }

  #request(voter: NodeId, term: Term): VoteRequest {
    const { lastTerm, lastIndex } = this.#last as StoreSample;
    return {
      term,
      lastTerm,
      lastIndex,
      counter: provenCounter(this.#state, voter, this.#options.clock.now()),
    };
  }
}
