/** Raft on this node: links, elections, and leading as a scope. */
import type { Clock } from "../clock/clock.ts";
import { DEFAULT_BALLOT_MS, DEFAULT_JITTER_MS } from "../core/election-timers.ts";
import type { Epoch, NodeId, Term } from "../core/ids.ts";
import type { Queryable } from "../db/call.ts";
import type { Hints } from "../db/hints.ts";
import { observedRows, takeGossip } from "../db/node.ts";
import { askLease, gossip, report, type Sender } from "../db/peer.ts";
import { echoLease, type RaftMember, type StoreSample } from "../db/raft.ts";
import type { Log } from "../log/logger.ts";
import { applierOf, yieldWhenBehind } from "./behind.ts";
import { Elector } from "./elector.ts";
import { type Doors, Gates } from "./gates.ts";
import { Grants } from "./grants.ts";
import { type HandOverOptions, letLead, transfer } from "./hand-over.ts";
import { Link, NO_ANSWER, type PeerAddress } from "./links.ts";
import { type Leadership, NotLeader, type PeerReport } from "./raft.ts";
import { Replicator } from "./replicator.ts";
import { noCounts, type RaftStanding, standingOf } from "./standing.ts";

/** What may be changed while Raft runs, and changes no promise: how fast it notices, and how much it keeps. */
export interface Tuning {
  readonly timing: { readonly heartbeatMs: number; readonly electionMs: number };
  /** What is kept of the log for those that lag. */
  readonly keep: { readonly maxLogEntries: number; readonly maxLogBytes: number };
}

export interface RaftOptions {
  readonly me: Sender;
  /** How a member's store is reached; the own one over its unix socket. */
  readonly addressOf: (member: RaftMember) => PeerAddress;
  readonly tuning: Tuning;
  readonly store: Queryable;
  /** Where SQL callers of the same store wait. */
  readonly doors: Doors;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  /** Rung by notifications of the own store. */
  readonly hints: Hints;
  /** Rung when SQL callers hand something in. */
  readonly gateHints: Hints;
  readonly signal: AbortSignal;
  /** A peer's store was closed and refuses. */
  readonly onLost?: (peer: NodeId) => void;
  /** Runs while this node leads; its end is awaited before the next term. */
  readonly whileLeading: (leadership: Leadership) => Promise<void>;
}

const GOSSIP_LIMIT_MS = 500;
/** Peers that answer about as fast as each other are written down at once. */
const TOGETHER_MS = 3;
const LEASE_LIMIT_MS = 300;

interface Leading {
  readonly term: Term;
  readonly replicator: Replicator;
  readonly grants: Grants;
  readonly end: AbortController;
}

export class Raft {
  readonly #options: RaftOptions;
  /** To every member's store, as the own store knows the members; none while this node is no member. */
  readonly #links = new Map<NodeId, Link>();
  readonly #elector: Elector;
  /** What each peer's store said it is, this time. */
  readonly #incarnations = new Map<NodeId, string>();
  readonly #introduced = new Set<NodeId>();
  /** Of the links: the last thing that is said goes over them. */
  readonly #closing = new AbortController();
  #leading: Leading | undefined;
  #sample: StoreSample | undefined;
  readonly #applyAgain: ReturnType<typeof applierOf>;
  readonly #counts = noCounts();
  #tuning: Tuning;
  /** Whose store said last that it is the leader's. */
  #lessor: NodeId | undefined;

  constructor(options: RaftOptions) {
    this.#options = options;
    this.#applyAgain = applierOf(options.store, options);
    this.#tuning = options.tuning;
    const { timing } = options.tuning;
    this.#elector = new Elector({
      ...options,
      timing: { ...timing, jitterMs: DEFAULT_JITTER_MS, ballotMs: DEFAULT_BALLOT_MS },
      links: this.#links,
      counts: this.#counts,
      isKnown: (id) => this.#isKnown(id),
      onLead: (term, last) => this.#lead(term, last),
      onTransfer: (term) => {
        if (this.#leading?.term === term) void letLead(this.#handOver(), this.#leading);
      },
      onStepDown: (why) => this.#stepDown(why),
      onSample: (sample) => this.#onSample(sample),
    });
  }

  async run(): Promise<void> {
    try {
      await this.#elector.run(this.#options.signal);
    } finally {
      if (this.#leading !== undefined) await letLead(this.#handOver(), this.#leading);
      this.#stepDown("shutting down");
      this.#closing.abort();
    }
  }

  /** Of the term that this node leads. */
  get proposer(): Pick<Replicator, "propose" | "take"> | undefined {
    return this.#leading?.replicator;
  }

  /** Who leads as far as this node knows; undefined while nobody does. */
  leader(): NodeId | undefined {
    return this.#sample?.leaderId;
  }

  /** How long nothing was heard from a leader, in ms. */
  quietMs(): number {
    return this.#elector.quietMs();
  }

  get tuning(): Tuning {
    return this.#tuning;
  }

  /** From now on; what a leader holds of the log in memory follows with its next term. */
  tune(tuning: Tuning): void {
    this.#tuning = tuning;
    this.#elector.retime(tuning.timing);
  }

  /** For display. */
  standing(): RaftStanding {
    const { me, clock } = this.#options;
    const [quietMs, leading] = [this.quietMs(), this.#leading?.replicator];
    return standingOf(me.nodeId, this.#counts, { quietMs, now: clock.now(), leading });
  }

  link(id: NodeId): Link | undefined {
    return this.#links.get(id);
  }

  /** Incarnations as the peers' stores gave them, the own included. */
  incarnations(): ReadonlyMap<NodeId, string> {
    return this.#incarnations;
  }

  /** Whom members call members, whether the own log knows them yet or not. */
  introduced(): ReadonlySet<NodeId> {
    return this.#introduced;
  }

  /** Links are to the members there are, where they are. */
  #reconcile({ members }: StoreSample): void {
    const { me, addressOf } = this.#options;
    const here = members.some(({ id }) => id === me.nodeId);
    const addresses = here ? members.map(addressOf) : [];
    for (const [id, link] of this.#links) {
      const now = addresses.find((address) => address.id === id);
      if (now !== undefined && link.leadsTo(now)) continue;
      this.#links.delete(id);
      this.#incarnations.delete(id);
      void this.#part(link, now === undefined);
    }
    for (const address of addresses) {
      if (this.#links.has(address.id)) continue;
      const link = this.#open(address);
      this.#links.set(address.id, link);
      this.#leading?.replicator.follow(link);
    }
  }

  /** A leader tells who left that it has left; nobody else would. */
  async #part(link: Link, hasLeft: boolean): Promise<void> {
    if (hasLeft) await this.#leading?.replicator.dismiss(link.id);
    link.close();
  }

  #open(address: PeerAddress): Link {
    const { me, clock, log, onLost } = this.#options;
    return new Link(address, {
      me,
      clock,
      log,
      signal: this.#closing.signal,
      onLost: (peer) => {
        void this.#elector.lost(peer);
        onLost?.(peer);
      },
      onHello: (peer, incarnation) => this.#onIncarnation(peer, incarnation),
      onIntroduced: (members) => {
        for (const id of members) this.#introduced.add(id);
      },
    });
  }

  #onIncarnation(peer: NodeId, incarnation: string): void {
    const before = this.#incarnations.get(peer);
    this.#incarnations.set(peer, incarnation);
    if (before === undefined || before === incarnation) return;
    this.#leading?.replicator.forget(peer);
    const what = `node ${peer} lost its control store and is another life: without a voice until the log lets it in`;
    this.#options.log.warn({ event: "raft.another_life", peer }, what);
  }

  /** Its store said hello as the life that the log knows; before it has registered any will do. */
  #isKnown(id: NodeId): boolean {
    const member = this.#sample?.members.find((one) => one.id === id);
    if (member === undefined) return true;
    return member.incarnation === null || member.incarnation === this.#incarnations.get(id);
  }

  #onSample(sample: StoreSample): void {
    const before = this.#sample;
    this.#sample = sample;
    if (sample.alarm !== undefined && sample.alarm !== before?.alarm) {
      this.#options.log.error({ event: "raft.alarm", term: sample.term }, sample.alarm);
    }
    this.#applyAgain(sample);
    this.#reconcile(sample);
    this.#leading?.replicator.look();
    this.#leading?.grants.look(sample);
  }

  /**
   * When the newest round of heartbeats began that confirmed this node as leader while `epoch` was the newest, and this
   * node its primary; undefined when it cannot say so.
   */
  confirmedAt(epoch: Epoch): number | undefined {
    const { me } = this.#options;
    const [leading, sample] = [this.#leading, this.#sample];
    if (leading === undefined || sample === undefined) return undefined;
    const current = sample.epoch === epoch && sample.primaryId === me.nodeId;
    if (!current || !leading.replicator.epochIsSettled(sample.appliedIndex)) return undefined;
    return leading.replicator.confirmedSince();
  }

  /**
   * Leave a nonce with the leader and take home the one echoed last. The own store is not asked who leads: it may be
   * the one that is down (H67). `hurry`: ask everyone.
   */
  async askLease(nonce: bigint, hurry: boolean): Promise<readonly bigint[]> {
    const { me } = this.#options;
    if (this.#leading !== undefined) return [];
    const others = [...this.#links.values()].filter(({ id }) => id !== me.nodeId);
    const known = others.filter(({ id }) => id === this.#lessor);
    const asked = hurry || known.length === 0 ? others : known;
    const replies = await Promise.all(asked.map((link) => this.#askLease(link, nonce, hurry)));
    return replies.filter((echo) => echo !== undefined);
  }

  async #askLease(link: Link, nonce: bigint, hurry: boolean): Promise<bigint | undefined> {
    const { me } = this.#options;
    const reply = await link.call("beat", LEASE_LIMIT_MS, (c) => askLease(c, me, { nonce, hurry }));
    if (reply !== NO_ANSWER && reply.leader_id === link.id) this.#lessor = link.id;
    else if (this.#lessor === link.id) this.#lessor = undefined;
    return reply === NO_ANSWER ? undefined : reply.echo;
  }

  #lead(term: Term, last: StoreSample): void {
    const { log, me, clock, store, whileLeading } = this.#options;
    const end = new AbortController();
    const before = this.#sample?.leaderId;
    if (before !== undefined && before !== me.nodeId) {
      this.#links.get(before)?.silentSince(this.#elector.quietSince());
    }
    const applied = () => this.#sample?.appliedIndex ?? last.appliedIndex;
    const replicator = new Replicator({
      me,
      term,
      last,
      voters: () => this.#sample?.voters ?? last.voters,
      votersAt: applied,
      isKnown: (id) => this.#isKnown(id),
      links: this.#links,
      store,
      heartbeatMs: () => this.#tuning.timing.heartbeatMs,
      keep: this.#tuning.keep,
      clock,
      log,
      signal: end.signal,
      counts: this.#counts,
      onAcked: (peer) => {
        this.#elector.dispatch({ type: "acked", from: peer, term });
        grants.check();
        gates.acked();
      },
      onHigherTerm: (higher) => this.#elector.dispatch({ type: "refused", term: higher }),
    });
    const grants = new Grants({ replicator, echo: (n) => echoLease(store, n), clock, log });
    const { doors, gateHints: hints } = this.#options;
    const gates = new Gates({ replicator, ...doors, hints, clock, log, signal: end.signal });
    this.#leading = { term, replicator, grants, end };
    log.info({ event: "raft.leader", term }, `won term ${term}`);
    const leadership = this.#leadership(term, this.#leading);
    void replicator.run();
    void gates.run();
    void yieldWhenBehind(
      { ...this.#handOver(), applied },
      { term, replicator, signal: end.signal },
    );
    whileLeading(leadership).catch((error: unknown) => {
      if (end.signal.aborted) return;
      log.error({ event: "worker.failed", term }, `the leader's loop failed: ${error}`);
      this.#elector.dispatch({ type: "resign", why: "the leader's loop failed" });
    });
  }

  #handOver(): HandOverOptions {
    return { ...this.#options, links: this.#links };
  }

  #stepDown(why: string): void {
    const leading = this.#leading;
    if (leading === undefined) return;
    this.#leading = undefined;
    this.#options.log.info({ event: "raft.follower", why }, `no longer leads: ${why}`);
    leading.end.abort();
  }

  #leadership(term: Term, { replicator, grants, end: { signal } }: Leading): Leadership {
    const { me, clock } = this.#options;
    return {
      term,
      signal,
      propose: (kind, body) =>
        signal.aborted
          ? Promise.reject(new NotLeader(`term ${term} is over`))
          : replicator.propose(kind, body),
      reach: (peer) => this.#links.get(peer)?.reach() ?? { reach: "unknown", sinceMs: 0 },
      leaseMs: (primary) =>
        primary === me.nodeId ? clock.now() - replicator.confirmedSince() : grants.sinceMs(),
      report: (member, epoch, limitMs) => this.#report(member, epoch, limitMs),
      transfer: (to, limitMs) =>
        transfer(this.#handOver(), to, { term, limitMs, replicator, signal }),
      isKnown: (member) => this.#isKnown(member),
      caughtUp: (member) => replicator.caughtUp(member),
      gossip: () => this.#gossip(),
    };
  }

  async #report(member: NodeId, epoch: bigint, limitMs: number): Promise<PeerReport | undefined> {
    const { me } = this.#options;
    if (!this.#isKnown(member)) return undefined;
    const reply = await this.#links
      .get(member)
      ?.call("work", limitMs, (client) => report(client, me, epoch));
    if (reply === undefined || reply === NO_ANSWER) return undefined;
    return {
      pledge: reply.pledge,
      ...(reply.history_epoch === null ? {} : { historyEpoch: reply.history_epoch }),
      ...(reply.lsn === null ? {} : { lsn: reply.lsn }),
      ...(reply.shutdown_lsn === null ? {} : { shutdownLsn: reply.shutdown_lsn }),
      ...(reply.problem === null ? {} : { problem: reply.problem }),
    };
  }

  /** Every peer gets what we have seen and answers with its own row, which the own store keeps at once. */
  async #gossip(): Promise<boolean> {
    const { me, store, clock } = this.#options;
    const rows = await observedRows(store);
    const others = [...this.#links.values()].filter((link) => link.id !== me.nodeId);
    let answers: string[] = [];
    let taking: Promise<boolean> | undefined;
    const take = async () => {
      await clock.sleep(TOGETHER_MS);
      const rows = `[${answers.join()}]`;
      [answers, taking] = [[], undefined];
      return await takeGossip(store, rows);
    };
    const news = await Promise.all(
      others.map(async (link) => {
        const own = await link.call("work", GOSSIP_LIMIT_MS, (c) => gossip(c, me, rows));
        if (typeof own !== "string") return false;
        answers.push(own);
        taking ??= take();
        return await taking;
      }),
    );
    return news.includes(true);
  }
}
