/**
 * What a leader of one term does: heartbeats, one sending loop per acceptor, counting, proposals.
 *
 * The own store is an acceptor like the others: counted only after its COMMIT (H52). Proposals that come
 * while an append is under way share the next one (group commit).
 */
import { randomUUID } from "node:crypto";
import { type Clock, untilBeat } from "../clock/clock.ts";
import type { LogIndex, NodeId, Term } from "../core/ids.ts";
import {
  committedIndex,
  initialProgress,
  onAppended,
  onConflict,
  type Progress,
} from "../core/progress.ts";
import { newestOfMajority } from "../core/quorum.ts";
import type { Queryable } from "../db/call.ts";
import { appendEntries, heartbeat, type Sender } from "../db/peer.ts";
import { type Entry, outcome, readLog, takeInbox, termAt } from "../db/raft.ts";
import type { Log } from "../log/logger.ts";
import { firstBatch } from "./batch.ts";
import { type Link, NO_ANSWER } from "./links.ts";
import { type Outcome, UnknownOutcome } from "./raft.ts";
import { Wakeup } from "./wakeup.ts";

/** An acceptor as a leader reaches it. */
export type AcceptorLink = Pick<Link, "id" | "call">;

export interface ReplicatorOptions {
  readonly me: Sender;
  readonly term: Term;
  readonly last: { readonly lastIndex: LogIndex; readonly lastTerm: Term };
  /** As the own store has applied it. */
  readonly voters: () => readonly NodeId[];
  /** Whether this peer's store is the one the log knows: what any other holds counts for nothing (H56). */
  readonly isKnown: (id: NodeId) => boolean;
  readonly links: ReadonlyMap<NodeId, AcceptorLink>;
  readonly store: Queryable;
  readonly heartbeatMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Aborts when the term is over. */
  readonly signal: AbortSignal;
  readonly onAcked: (peer: NodeId) => void;
  readonly onHigherTerm: (term: Term) => void;
}

interface Waiting {
  readonly sequence: bigint;
  readonly index: LogIndex;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: Error) => void;
}

/** One append: at most so many entries and bytes. */
const BATCH = { entries: 512, bytes: 1_000_000 } as const;
const APPEND_LIMIT_MS = 2000;
const HEARTBEAT_LIMIT_MS = 300;
/** Of the other stores' heartbeats, one in so many goes to the own store too. */
const OWN_BEATS = 4;
/** Entries that every acceptor holds are dropped from memory beyond this many. */
const KEEP_IN_MEMORY = 1024;
/** A new leader's coordinator decides within this; what it proposes needs no empty entry before it. */
const FIRST_ENTRY_MS = 100;

export class Replicator {
  readonly #options: ReplicatorOptions;
  readonly #client = randomUUID();
  readonly #progress = new Map<NodeId, Progress>();
  readonly #wake = new Map<NodeId, Wakeup>();
  /** When the newest heartbeat was sent that each acceptor confirmed. */
  readonly #begun = new Map<NodeId, number>();
  /** The newest entry of this term after which the newest epoch may be another. */
  #epochIndex: LogIndex;
  /** Acceptors that have answered an append of this term. */
  readonly #greeted = new Set<NodeId>();
  readonly #firstOfTerm: LogIndex;
  /** Entries of this term, from `#windowStart` on. */
  #window: Entry[] = [];
  readonly #proposed = new AbortController();
  #windowStart: LogIndex;
  #sequence = 0n;
  #commit: LogIndex = 0n;
  #applied: LogIndex = 0n;
  #waiting: Waiting[] = [];
  #resolving = false;

  constructor(options: ReplicatorOptions) {
    this.#options = options;
    this.#firstOfTerm = options.last.lastIndex + 1n;
    this.#windowStart = this.#firstOfTerm;
    this.#epochIndex = this.#firstOfTerm;
    for (const id of options.links.keys()) {
      this.#progress.set(id, initialProgress(options.last.lastIndex));
      this.#wake.set(id, new Wakeup());
    }
    options.signal.addEventListener("abort", () => this.#endTerm(), { once: true });
  }

  /** Start every loop; resolves when the term is over. */
  async run(): Promise<void> {
    const links = [...this.#options.links.values()];
    const beating = links.map((link) => this.#beat(link));
    await this.#firstEntry();
    await Promise.all([...beating, ...links.map((link) => this.#send(link))]);
  }

  /**
   * What came before is committed with the first entry of the term (Raft §5.4.2): the first that is proposed, or an
   * empty one. A failover waits for one round less.
   */
  async #firstEntry(): Promise<void> {
    const { clock, signal, me } = this.#options;
    const proposed = AbortSignal.any([signal, this.#proposed.signal]);
    await clock.sleep(FIRST_ENTRY_MS, proposed);
    if (proposed.aborted) return;
    this.propose("noop", { node_id: me.nodeId }).catch(() => undefined);
  }

  /** Append to the log of this term; resolves once committed and applied on the own store. */
  propose(kind: string, body: Readonly<Record<string, unknown>>): Promise<Outcome> {
    if (this.#options.signal.aborted) {
      return Promise.reject(new UnknownOutcome(`term ${this.#options.term} is over`));
    }
    this.#sequence += 1n;
    const sequence = this.#sequence;
    const at = new Date().toISOString();
    const index = this.#push({ kind, client: this.#client, sequence, body: { at, ...body } });
    return new Promise((resolve, reject) => {
      this.#waiting.push({ sequence, index, resolve, reject });
    });
  }

  /** Take over what SQL callers left in the own store's inbox. */
  async drainInbox(): Promise<void> {
    for (const proposal of await takeInbox(this.#options.store, BATCH.entries)) {
      const at = new Date().toISOString();
      this.#push({ ...proposal, body: { at, ...proposal.body } });
    }
  }

  /** Another life answers there now: what its former one held is forgotten, and counts for nothing (H56). */
  forget(id: NodeId): void {
    this.#progress.set(id, initialProgress(this.#lastIndex()));
    this.#begun.delete(id);
    this.#greeted.delete(id);
    this.#wake.get(id)?.wake();
  }

  /** Holds everything there is, in the store that the log knows. */
  caughtUp(id: NodeId): boolean {
    if (!this.#options.isKnown(id)) return false;
    return (this.#progress.get(id)?.match ?? 0n) >= this.#lastIndex();
  }

  /** The other voters, those that hold most of the log first. */
  heirs(): NodeId[] {
    const { me, voters, isKnown } = this.#options;
    const match = (id: NodeId) => this.#progress.get(id)?.match ?? 0n;
    return voters()
      .filter((id) => id !== me.nodeId && isKnown(id))
      .sort((a, b) => Number(match(b) - match(a)));
  }

  /** When the newest round of heartbeats began that a majority has confirmed. */
  confirmedSince(): number {
    return newestOfMajority(this.#options.voters(), this.#begun);
  }

  /** Whether a store that has applied this much knows the newest epoch there is or can be: ours are not under way. */
  epochIsSettled(applied: LogIndex): boolean {
    return applied >= this.#epochIndex;
  }

  #push(entry: Omit<Entry, "index" | "term">): LogIndex {
    const index = this.#lastIndex() + 1n;
    if (entry.kind === "open_epoch" || entry.kind === "found") this.#epochIndex = index;
    this.#window.push({ ...entry, index, term: this.#options.term });
    this.#proposed.abort(null);
    for (const wakeup of this.#wake.values()) wakeup.wake();
    return index;
  }

  #lastIndex(): LogIndex {
    return this.#windowStart + BigInt(this.#window.length) - 1n;
  }

  async #beat(link: AcceptorLink): Promise<void> {
    const { me, term, signal, clock, heartbeatMs, onHigherTerm } = this.#options;
    while (!signal.aborted) {
      const lane = link.id === me.nodeId ? "work" : "beat";
      const begun = clock.now();
      const reply = await link.call(lane, HEARTBEAT_LIMIT_MS, (c) => heartbeat(c, me, term));
      if (reply !== NO_ANSWER && !signal.aborted) {
        if (reply.success) {
          if (this.#options.isKnown(link.id)) this.#begun.set(link.id, begun);
          this.#acked(link.id);
        } else if (reply.reason === "stale_term") onHigherTerm(reply.term);
        else {
          // It has not accepted this term yet: say hello with an append.
          this.#greeted.delete(link.id);
          this.#wake.get(link.id)?.wake();
        }
      }
      // The own store hears it often enough to refuse a vote meanwhile (raft.may_vote).
      const everyMs = link.id === me.nodeId ? OWN_BEATS * heartbeatMs : heartbeatMs;
      await clock.sleep(untilBeat(clock.now(), everyMs), signal);
    }
  }

  /** Keep one acceptor's log equal to ours: what it lacks, then the commit index, then rest. */
  async #send(link: AcceptorLink): Promise<void> {
    const { signal, clock, heartbeatMs } = this.#options;
    const wakeup = this.#wake.get(link.id) as Wakeup;
    while (!signal.aborted) {
      const progress = this.#progress.get(link.id) as Progress;
      const behind = progress.next <= this.#lastIndex() || this.#owesCommit(progress);
      if (this.#greeted.has(link.id) && !behind) await wakeup.wait(signal);
      else if (await this.#sendOnce(link, progress)) this.#greeted.add(link.id);
      else await clock.sleep(heartbeatMs / 2, signal);
    }
  }

  #owesCommit(progress: Progress): boolean {
    const known = this.#commit < progress.match ? this.#commit : progress.match;
    return progress.commit < known;
  }

  /** True when the acceptor answered, whatever it said. */
  async #sendOnce(link: AcceptorLink, progress: Progress): Promise<boolean> {
    const { me, term, signal, onHigherTerm } = this.#options;
    const prevIndex = progress.next - 1n;
    const batch = await this.#entriesFrom(progress.next);
    if (batch === undefined || signal.aborted) return false;
    const commit = this.#commit;
    const ask = { term, prevIndex, prevTerm: batch.prevTerm, entries: batch.entries, commit };
    const reply = await link.call("work", APPEND_LIMIT_MS, (c) => appendEntries(c, me, ask));
    if (reply === NO_ANSWER || signal.aborted) return false;
    if (reply.reason === "stale_term") {
      onHigherTerm(reply.term);
      return false;
    }
    this.#acked(link.id);
    const now = this.#progress.get(link.id) as Progress;
    if (reply.reason === "log_conflict") {
      this.#progress.set(link.id, onConflict(now, reply.last_index));
      return true;
    }
    this.#progress.set(link.id, onAppended(now, reply.last_index, commit));
    this.#count();
    if (link.id === me.nodeId) this.#onApplied(reply.applied_index);
    return true;
  }

  /** Entries to send from `next` on, and the term before them; undefined when the own store does not tell. */
  async #entriesFrom(next: LogIndex): Promise<{ entries: Entry[]; prevTerm: Term } | undefined> {
    const { last, store, term } = this.#options;
    const offset = Number(next - this.#windowStart);
    if (offset >= 0) {
      const entries = firstBatch(this.#window, offset, BATCH);
      const before = this.#window[offset - 1]?.term;
      if (before !== undefined) return { entries, prevTerm: before };
      if (next === this.#firstOfTerm) return { entries, prevTerm: last.lastTerm };
      return { entries, prevTerm: term };
    }
    try {
      const prevTerm = await termAt(store, next - 1n);
      const stored = await readLog(store, next, BATCH);
      const entries = stored.filter((entry) => entry.index < this.#windowStart);
      return prevTerm === undefined ? undefined : { entries, prevTerm };
    } catch (error) {
      this.#options.log.debug({ event: "control.gone" }, String(error));
      return undefined;
    }
  }

  #acked(id: NodeId): void {
    if (this.#options.isKnown(id)) this.#options.onAcked(id);
  }

  #count(): void {
    const { voters, isKnown } = this.#options;
    const known = new Map([...this.#progress].filter(([id]) => isKnown(id)));
    const commit = committedIndex(voters(), known, this.#firstOfTerm);
    if (commit <= this.#commit) return;
    this.#commit = commit;
    for (const wakeup of this.#wake.values()) wakeup.wake();
    this.#trim();
  }

  #trim(): void {
    const matches = [...this.#progress.values()].map((progress) => progress.match);
    const everywhere = matches.reduce((a, b) => (a < b ? a : b));
    const droppable = Number(everywhere - this.#windowStart) - KEEP_IN_MEMORY;
    if (droppable <= 0) return;
    this.#window = this.#window.slice(droppable);
    this.#windowStart += BigInt(droppable);
  }

  #onApplied(applied: LogIndex): void {
    if (applied <= this.#applied) return;
    this.#applied = applied;
    void this.#resolve();
  }

  /** Answer every proposal that is applied on the own store. */
  async #resolve(): Promise<void> {
    if (this.#resolving) return;
    this.#resolving = true;
    try {
      for (;;) {
        const next = this.#waiting[0];
        if (next === undefined || next.index > this.#applied) return;
        const found = await outcome(this.#options.store, this.#client, next.sequence);
        this.#waiting.shift();
        if (found !== undefined) next.resolve(found);
        else next.reject(new UnknownOutcome(`entry ${next.index} left no outcome`));
      }
    } catch (error) {
      // The own store did not answer: the proposals stay, and the next applied entry asks again.
      this.#options.log.debug({ event: "control.gone" }, String(error));
    } finally {
      this.#resolving = false;
    }
  }

  #endTerm(): void {
    for (const wakeup of this.#wake.values()) wakeup.wake();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const one of waiting) {
      one.reject(new UnknownOutcome(`term ${this.#options.term} ended before entry ${one.index}`));
    }
  }
}
