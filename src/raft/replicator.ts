/**
 * What a leader of one term does: heartbeats, one sending loop per acceptor, counting, proposals.
 *
 * The own store is an acceptor like the others: counted only after its COMMIT (H52). Proposals that come
 * while an append is under way share the next one (group commit).
 */
import { randomUUID } from "node:crypto";
import { untilBeat } from "../clock/clock.ts";
import type { LogIndex, NodeId } from "../core/ids.ts";
import { isChange } from "../core/membership.ts";
import {
  committedIndex,
  type Due,
  dueElsewhere,
  dueHere,
  hasForgotten,
  initialProgress,
  isPressing,
  onAppended,
  onConflict,
  othersSuffice,
  type Progress,
} from "../core/progress.ts";
import { newestOfMajority } from "../core/quorum.ts";
import { type Hints, quietHints } from "../db/hints.ts";
import { appendEntries, heartbeat } from "../db/peer.ts";
import { type Entry, type InboxProposal, outcomes } from "../db/raft.ts";
import { Awaited } from "./awaited.ts";
import { Changes } from "./changes.ts";
import { Door } from "./door.ts";
import { type AcceptorLink, NO_ANSWER } from "./links.ts";
import { NotLeader, type Outcome, UnknownOutcome } from "./raft.ts";
import { matchOf, Snapshots } from "./snapshots.ts";
import type { Books } from "./standing.ts";
import { entriesFrom } from "./stored.ts";
import type { ReplicatorOptions } from "./term.ts";
import { Window } from "./window.ts";

/** One acceptor while it is followed: what wakes its loops, `bell` for a heartbeat, and what ends them. */
interface Followed {
  readonly link: AcceptorLink;
  readonly wakeup: Hints;
  readonly bell: Hints;
  readonly end: AbortController;
}

/** One append: at most so many entries and bytes. */
const BATCH = { entries: 512, bytes: 1_000_000 } as const;
const APPEND_LIMIT_MS = 2000;
/** What is not pressing waits so long for company. */
const SOON_MS = 5;
const HEARTBEAT_LIMIT_MS = 300;
const OWN_BEATS = 4; // of the other stores' heartbeats, one in so many goes to the own store too
const FIRST_ENTRY_MS = 100; // a new leader's coordinator decides within this: no empty entry is needed before
/** Who left is told so within this, if it can be. */
const FAREWELL = { withinMs: 3000, lookMs: 20 } as const;

export class Replicator {
  readonly #options: ReplicatorOptions;
  readonly #client = randomUUID();
  readonly #progress = new Map<NodeId, Progress>();
  readonly #followed = new Map<NodeId, Followed>();
  readonly #loops = new Set<Promise<void>>();
  /** When the newest heartbeat was sent that each acceptor confirmed. */
  readonly #begun = new Map<NodeId, number>();
  /** The newest entry of this term after which the newest epoch may be another. */
  #epochIndex: LogIndex;
  /** Acceptors that have answered an append of this term. */
  readonly #greeted = new Set<NodeId>();
  readonly #firstOfTerm: LogIndex;
  readonly #window: Window;
  #pressing: LogIndex;
  readonly #proposed = new AbortController();
  /** Settles with the first entry of the term: nothing is sent before it. */
  #opened: Promise<void> = Promise.resolve();
  readonly #snapshots: Snapshots;
  #sequence = 0n;
  /** Of an earlier leader too: whoever gets a change of the members hears that the one before is committed (H53). */
  #commit: LogIndex;
  readonly #changes: Changes;
  readonly #awaited: Awaited;
  readonly door = new Door();

  constructor(options: ReplicatorOptions) {
    this.#options = options;
    this.#firstOfTerm = options.last.lastIndex + 1n;
    this.#window = new Window(options.term, options.last, options.keep);
    this.#epochIndex = this.#firstOfTerm;
    this.#pressing = this.#firstOfTerm;
    this.#changes = new Changes(this.#firstOfTerm, options.votersAt);
    this.#commit = options.last.commitIndex;
    this.#awaited = new Awaited(
      (numbers) => outcomes(options.store, this.#client, numbers),
      options.log,
    );
    this.#snapshots = new Snapshots(options);
    options.signal.addEventListener("abort", () => this.#endTerm(), { once: true });
  }

  /** Start every loop; resolves when the term is over. */
  async run(): Promise<void> {
    this.#opened = this.#firstEntry();
    for (const link of this.#options.links.values()) this.follow(link);
    await this.#opened;
    while (this.#loops.size > 0) await Promise.all(this.#loops);
  }

  /** Keep this acceptor's log equal to ours from now on; another link to the same one takes the old one's place. */
  follow(link: AcceptorLink): void {
    const { signal, clock } = this.#options;
    this.#leave(link.id);
    if (signal.aborted) return;
    const [bell, wakeup, end] = [quietHints(clock), quietHints(clock), new AbortController()];
    const followed = { link, wakeup, bell, end };
    this.#followed.set(link.id, followed);
    this.#progress.set(link.id, initialProgress(this.#window.lastIndex));
    const own = AbortSignal.any([signal, followed.end.signal]);
    for (const loop of [this.#beat(followed, own), this.#send(followed, own)]) {
      const tracked: Promise<void> = loop.finally(() => this.#loops.delete(tracked));
      this.#loops.add(tracked);
    }
  }

  /** A member no more: it hears that, if it can. */
  async dismiss(id: NodeId): Promise<void> {
    const { clock, signal } = this.#options;
    const [followed, gone] = [this.#followed.get(id), this.#commit];
    const until = clock.now() + FAREWELL.withinMs;
    const told = () => (this.#progress.get(id)?.commit ?? gone) >= gone;
    while (!told() && clock.now() < until && !signal.aborted) {
      await clock.sleep(FAREWELL.lookMs, signal);
    }
    if (followed !== undefined && this.#followed.get(id) === followed) this.#leave(id);
  }

  #leave(id: NodeId): void {
    const followed = this.#followed.get(id);
    this.#followed.delete(id);
    this.#progress.delete(id);
    this.#begun.delete(id);
    this.#greeted.delete(id);
    followed?.end.abort();
    followed?.wakeup.nudge();
  }

  look(): void {
    this.#changes.next();
  }

  #wakeAll(): void {
    for (const { wakeup } of this.#followed.values()) wakeup.nudge();
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
    return new Promise((resolve, reject) => {
      const entry = { kind, client: this.#client, sequence, body: { at, ...body } };
      const entered = (index: LogIndex) => this.#awaited.add({ sequence, index, resolve, reject });
      this.#enter(entry, entered, reject);
    });
  }

  /** Append what a SQL caller handed in; resolves once the own store has it, a change of the members at once. */
  take(proposal: InboxProposal): Promise<void> {
    const at = new Date().toISOString();
    return new Promise((resolve, reject) => {
      const entry = { ...proposal, body: { at, ...proposal.body } };
      const entered = (index: LogIndex) => this.#awaited.add({ index, resolve, reject });
      this.#enter(entry, entered, reject);
      if (isChange(entry.kind)) resolve();
    });
  }

  /** Into the log, through the door; a change of the members when it has its turn. */
  #enter(
    entry: Omit<Entry, "index" | "term">,
    entered: (index: LogIndex) => void,
    refuse: (error: Error) => void,
  ): void {
    const take = () => {
      const index = this.#push(entry);
      entered(index);
      return index;
    };
    const turn = () => this.#changes.enter({ take, refuse });
    this.door.pass(isChange(entry.kind) ? turn : take, refuse);
  }

  /** Another life answers there now: what its former one held is forgotten, and counts for nothing (H56). */
  forget(id: NodeId): void {
    if (!this.#followed.has(id)) return;
    this.#progress.set(id, initialProgress(this.#window.lastIndex));
    this.#begun.delete(id);
    this.#greeted.delete(id);
    this.#followed.get(id)?.wakeup.nudge();
  }

  /** Holds everything there is, in the store that the log knows. */
  caughtUp(id: NodeId): boolean {
    if (!this.#options.isKnown(id)) return false;
    return (this.#progress.get(id)?.match ?? 0n) >= this.#window.lastIndex;
  }

  /** The other voters, the fullest logs first. */
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

  /** For display. */
  books(): Books {
    return { progress: this.#progress, begun: this.#begun, snapshots: this.#snapshots };
  }

  /** Begin a round of heartbeats now; one under way is followed by another. */
  beatNow(): void {
    for (const { bell } of this.#followed.values()) bell.nudge();
  }

  /** How far the log is committed; undefined until that covers all that former leaders committed (Raft §8). */
  readIndex(): LogIndex | undefined {
    return this.#commit >= this.#firstOfTerm ? this.#commit : undefined;
  }

  /** Whether a store that has applied this much knows the newest epoch there is or can be: ours are not under way. */
  epochIsSettled(applied: LogIndex): boolean {
    return applied >= this.#epochIndex;
  }

  #push(entry: Omit<Entry, "index" | "term">): LogIndex {
    const index = this.#window.push(entry);
    if (entry.kind === "open_epoch" || entry.kind === "found") this.#epochIndex = index;
    if (isPressing(entry.kind)) this.#pressing = index;
    this.#proposed.abort(null);
    this.#wakeAll();
    return index;
  }

  async #beat({ link, bell }: Followed, signal: AbortSignal): Promise<void> {
    const { me, term, clock, onHigherTerm, counts } = this.#options;
    while (!signal.aborted) {
      const lane = link.id === me.nodeId ? "work" : "beat";
      const begun = clock.now();
      if (counts !== undefined) counts.heartbeats += 1;
      const reply = await link.call(lane, HEARTBEAT_LIMIT_MS, (c) => heartbeat(c, me, term));
      if (reply !== NO_ANSWER && !signal.aborted) {
        if (reply.success) {
          if (this.#options.isKnown(link.id)) this.#begun.set(link.id, begun);
          this.#acked(link.id);
        } else if (reply.reason === "stale_term") onHigherTerm(reply.term);
        else {
          // It has not accepted this term yet: say hello with an append.
          this.#greeted.delete(link.id);
          this.#followed.get(link.id)?.wakeup.nudge();
        }
      }
      // The own store hears it often enough to refuse a vote meanwhile (raft.may_vote).
      const beatMs = this.#options.heartbeatMs();
      const everyMs = link.id === me.nodeId ? OWN_BEATS * beatMs : beatMs;
      await bell.within(untilBeat(clock.now(), everyMs), signal);
    }
  }

  /** Keep one acceptor's log equal to ours: what it lacks, then the commit index, then rest. */
  async #send({ link, wakeup }: Followed, signal: AbortSignal): Promise<void> {
    const { clock, heartbeatMs } = this.#options;
    let soonBy: number | undefined;
    await this.#opened;
    while (!signal.aborted) {
      const progress = this.#progress.get(link.id) as Progress;
      const due = this.#greeted.has(link.id) ? this.#due(link.id, progress) : "now";
      const now = clock.now();
      soonBy = due === "soon" ? (soonBy ?? now + SOON_MS) : undefined;
      if (due === "never") await wakeup.next(signal);
      else if (soonBy !== undefined && soonBy > now) await wakeup.within(soonBy - now, signal);
      else {
        soonBy = undefined;
        if (await this.#sendOnce(link, progress, signal)) this.#greeted.add(link.id);
        else await clock.sleep(heartbeatMs() / 2, signal);
      }
    }
  }

  #due(id: NodeId, progress: Progress): Due {
    const { me, voters } = this.#options;
    const commit = this.#commit;
    const log = { lastIndex: this.#window.lastIndex, commit, pressing: this.#pressing };
    if (id !== me.nodeId) return dueElsewhere(progress, log);
    return dueHere(progress, log, othersSuffice(id, voters(), this.#known(), commit));
  }

  /** Of the stores that count (H56). */
  #known(): Map<NodeId, Progress> {
    return new Map([...this.#progress].filter(([id]) => this.#options.isKnown(id)));
  }

  /** True when the acceptor answered, whatever it said. */
  async #sendOnce(link: AcceptorLink, progress: Progress, signal: AbortSignal): Promise<boolean> {
    const { me, term, onHigherTerm } = this.#options;
    const prevIndex = progress.next - 1n;
    const batch = await entriesFrom(
      progress.next,
      { ...this.#options, window: this.#window },
      BATCH,
    );
    if (batch === "unknown" || signal.aborted) return false;
    if (batch === "compacted") return await this.#sendSnapshot(link, signal);
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
      const known = hasForgotten(now, prevIndex) ? this.#afresh(link.id, now.match) : now;
      this.#progress.set(link.id, onConflict(known, reply.last_index));
      return true;
    }
    this.#progress.set(link.id, onAppended(now, reply.last_index, commit));
    this.#count();
    if (link.id === me.nodeId) this.#awaited.applied(reply.applied_index);
    return true;
  }

  /** Nothing that it acknowledged counts any more; it is sent all that it lacks. */
  #afresh(peer: NodeId, match: LogIndex): Progress {
    const { log, term } = this.#options;
    const why = `node ${peer} holds entry ${match} no more, and acknowledged it: it may vote twice`;
    log.error({ event: "raft.alarm", term, peer }, why);
    return initialProgress(this.#window.lastIndex);
  }

  /** The log has no more what this acceptor lacks: the state takes its place. True when it has it now. */
  async #sendSnapshot(link: AcceptorLink, signal: AbortSignal): Promise<boolean> {
    const { onHigherTerm } = this.#options;
    const reply = await this.#snapshots.send(link, signal);
    if (reply === NO_ANSWER || signal.aborted) return false;
    if (reply.reason === "stale_term") onHigherTerm(reply.term);
    const match = matchOf(reply);
    if (match === undefined) return false;
    this.#acked(link.id);
    const now = this.#progress.get(link.id) as Progress;
    this.#progress.set(link.id, onAppended(now, match, match));
    this.#count();
    return true;
  }

  #acked(id: NodeId): void {
    if (this.#options.isKnown(id)) this.#options.onAcked(id);
  }

  #count(): void {
    const { me, voters } = this.#options;
    const commit = committedIndex(voters(), this.#known(), this.#firstOfTerm);
    if (commit <= this.#commit) return;
    this.#commit = commit;
    this.#wakeAll();
    const matches = [...this.#progress.values()].map((progress) => progress.match);
    const everywhere = matches.reduce((a, b) => (a < b ? a : b));
    this.#window.trim({ everywhere, own: this.#progress.get(me.nodeId)?.match ?? 0n });
  }

  #endTerm(): void {
    this.#wakeAll();
    const over = new NotLeader(`term ${this.#options.term} ended first`);
    this.door.end(over);
    this.#changes.end(over);
    this.#awaited.end(this.#options.term);
  }
}
