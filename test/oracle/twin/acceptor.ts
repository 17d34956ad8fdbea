/**
 * One node's control store in TypeScript: the acceptor of sql/10_raft, sql/20_peer and sql/35_node.
 *
 * A twin, not a copy of the idea: each method answers what the SQL function of that name answers, row for row, and
 * test/oracle holds the two together. One call is one transaction: it happens whole, or throws and changes nothing
 * but the liveness counter, which PostgreSQL does not roll back either.
 */
import type { Counter } from "../../../src/core/counters.ts";
import type { Epoch, LogIndex, Lsn, NodeId, Term } from "../../../src/core/ids.ts";
import type {
  Append,
  AppendReply,
  HeartbeatReply,
  InstallReply,
  LeaseReply,
  PreVoteReply,
  ReportReply,
  Sender,
  SnapshotPart,
  VoteReply,
  VoteRequest,
} from "../../../src/db/peer.ts";
import type { Entry, ReadAnswer, StoreSample, Turn } from "../../../src/db/raft.ts";
import { type Cluster, initialCluster, type Member } from "./cluster.ts";
import {
  type Base,
  type Durable,
  type HardState,
  learnCommit,
  NO_PROMISES,
  WHOLE_LOG,
} from "./learn-commit.ts";
import { limitEntries, limitParts } from "./limits.ts";
import { entryAt, lastIndex, stored, termAt, whereToTry } from "./log.ts";
import { checkReport, historyEpoch } from "./reports.ts";
import { sampleOf } from "./sample.ts";
import { compacted, type Image, installed, takeParts } from "./snapshot.ts";
import { SqlError } from "./sql-error.ts";
import { type AcceptorIdentity, checkLeader, checkSender, hasVoice } from "./voice.ts";
import { freshVolatile, openGate, turnGate, type Volatile } from "./volatile.ts";
import { acceptLeader, preVerdict, type Voter, verdict } from "./votes.ts";

export type { Durable, HardState } from "./learn-commit.ts";

export class Acceptor {
  readonly identity: AcceptorIdentity;
  #durable: Durable;
  #volatile: Volatile;

  constructor(
    identity: AcceptorIdentity,
    members: readonly Member[],
    bootId: string,
    mode?: Cluster["mode"],
  ) {
    this.identity = identity;
    const cluster = initialCluster(members, mode);
    this.#durable = { state: NO_PROMISES, base: WHOLE_LOG, log: [], cluster };
    this.#volatile = freshVolatile(bootId);
  }

  /** The durable part as it is now; give it back to `crash` to put an old copy in place. */
  dump(): Durable {
    return this.#durable;
  }

  /** The store died and came back: unlogged tables are empty. `durable`: an earlier dump was put back. */
  crash(bootId: string, durable: Durable = this.#durable): void {
    this.#durable = durable;
    this.#volatile = freshVolatile(bootId);
  }

  /** A clean stop and start: only the boot is new, so no mark and no counter counts any more. */
  restart(bootId: string): void {
    this.#volatile.bootId = bootId;
  }

  get state(): HardState {
    return this.#durable.state;
  }
  get log(): readonly Entry[] {
    return this.#durable.log;
  }
  get base(): Base {
    return this.#durable.base;
  }
  get cluster(): Cluster {
    return this.#durable.cluster;
  }
  get counter(): Counter {
    return { bootId: this.#volatile.bootId, heard: this.#volatile.heard };
  }

  /** What a crash would take. */
  get unlogged(): Pick<Volatile, "inbox" | "reports" | "handedOver" | "arrived" | "reads"> {
    return this.#volatile;
  }

  /** raft.sample */
  sample(): StoreSample {
    return sampleOf(this.#durable, this.#volatile, this.identity);
  }

  /** raft.mark_silent */
  markSilent({ bootId, heard }: Counter): boolean {
    if (!this.#isCurrent({ bootId, heard })) return false;
    this.#volatile.silence = { bootId, heard };
    return true;
  }

  /** Whether the mark is valid. */
  get silent(): boolean {
    return this.#isCurrent(this.#volatile.silence);
  }

  /** raft.term_at */
  termAt(index: LogIndex): Term | undefined {
    return termAt(this.#durable, index);
  }

  /** An entry of the log; undefined when it is compacted, and beyond the last. */
  entryAt(index: LogIndex): Entry | undefined {
    return entryAt(this.#durable, index);
  }

  /** raft.read_log; bodies are not weighed, so only the number of entries bounds it. */
  readLog(from: LogIndex, maxEntries: number): readonly Entry[] {
    const end = from + BigInt(maxEntries);
    return this.#durable.log.filter(({ index }) => index >= from && index < end);
  }

  /** raft.compact, by entries. */
  compact(entries: number): boolean {
    const before = this.#durable;
    this.#durable = compacted(before, entries);
    return this.#durable !== before;
  }

  /** raft.take_snapshot and raft.snapshot_part, all parts of it. */
  takeSnapshot(id: string, parts: number): Image {
    return takeParts(this.#durable, id, parts);
  }

  /** raft.outcomes, of one. */
  outcome(client: string, sequence: bigint): { index: LogIndex; outcome: string } | undefined {
    return this.#durable.cluster.proposals.get(`${client}/${sequence}`);
  }

  /** raft.turn_gate */
  turnGate = (max: number): Turn => turnGate(this.#volatile, max, this.#durable.state.term);

  /** raft.open_gate */
  openGate = (_gate: bigint, answer?: ReadAnswer): boolean => openGate(this.#volatile, answer);

  /** peer.pre_vote */
  preVote(from: Sender, ask: VoteRequest): PreVoteReply {
    this.#checkSender(from);
    const { state } = this.#durable;
    const reason = preVerdict(state, ask, this.#voter(ask));
    const { bootId, heard } = this.counter;
    return { term: state.term, granted: reason === "granted", reason, boot_id: bootId, heard };
  }

  /** peer.request_vote */
  requestVote(from: Sender, ask: VoteRequest & { readonly transfer: boolean }): VoteReply {
    this.#checkSender(from);
    let { state } = this.#durable;
    const voter = this.#voter(ask);
    if (ask.term > state.term && voter.hasVoice && (ask.transfer || voter.mayVote)) {
      state = { ...state, term: ask.term, votedFor: undefined, leaderId: undefined };
    }
    const reason = verdict(state, from.nodeId, ask, voter);
    if (reason === "granted") state = { ...state, votedFor: from.nodeId };
    this.#durable = { ...this.#durable, state };
    return { term: state.term, granted: reason === "granted", reason };
  }

  /** peer.heartbeat */
  heartbeat(from: Sender, term: Term): HeartbeatReply {
    this.#checkLeader(from);
    const { state } = this.#durable;
    if (term < state.term) return { term: state.term, success: false, reason: "stale_term" };
    if (term > state.term || state.leaderId !== from.nodeId) {
      return { term: state.term, success: false, reason: "unknown_leader" };
    }
    this.#volatile.heard += 1n;
    return { term: state.term, success: true, reason: "heard" };
  }

  /** peer.ask_lease */
  askLease(from: Sender, { nonce }: { readonly nonce: bigint }): LeaseReply {
    this.#checkSender(from);
    const newest = this.cluster.epochs.at(-1);
    const asks = newest?.node_id === from.nodeId && newest.epoch === nonce >> 32n;
    if (asks && this.state.leaderId === this.identity.nodeId) this.#volatile.leaseAsked = nonce;
    return { leader_id: this.state.leaderId ?? null, echo: this.#volatile.leaseEcho };
  }

  /** raft.echo_lease */
  echoLease(nonce: bigint): void {
    this.#volatile.leaseEcho = nonce;
  }

  /** peer.ask_read */
  askRead(from: Sender): bigint {
    this.#checkSender(from);
    this.#checkLeads();
    return this.#volatile.reads.take();
  }

  #checkLeads(): void {
    if (this.state.leaderId !== this.identity.nodeId) throw new SqlError("RF001", "does not lead");
  }

  /** peer.append_entries */
  appendEntries(from: Sender, ask: Append): AppendReply {
    this.#checkLeader(from);
    limitEntries(from.nodeId, ask.entries.length);
    const { base } = this.#durable;
    if (ask.term < this.state.term) {
      const last = this.#lastIndex();
      return this.#answer(this.state, "stale_term", last, this.termAt(last));
    }
    const state = this.#acceptLeader(ask.term, from.nodeId);

    if (ask.prevIndex >= base.index && this.termAt(ask.prevIndex) !== ask.prevTerm) {
      this.#durable = { ...this.#durable, state };
      const hint = whereToTry(this.#durable, ask.prevIndex);
      return this.#answer(state, "log_conflict", hint, this.termAt(hint));
    }
    const end = ask.prevIndex + BigInt(ask.entries.length);
    const match = end > base.index ? end : base.index;
    const log = stored(this.#durable, ask.entries);
    const commit = ask.commit < match ? ask.commit : match;
    this.#durable = learnCommit(
      { ...this.#durable, state, log },
      commit,
      this.#volatile.handedOver,
    );
    return this.#answer(this.#durable.state, "appended", match, this.termAt(match));
  }

  #answer(
    { term, appliedIndex }: HardState,
    reason: AppendReply["reason"],
    last: LogIndex,
    lastTerm: Term | undefined,
  ): AppendReply {
    return {
      term,
      success: reason === "appended",
      reason,
      last_index: last,
      last_term: lastTerm ?? null,
      applied_index: appliedIndex,
    };
  }

  #acceptLeader(term: Term, leader: NodeId): HardState {
    const state = acceptLeader(this.state, term, leader);
    this.#volatile.heard += 1n;
    return state;
  }

  /** peer.install_snapshot */
  installSnapshot(from: Sender, ask: SnapshotPart): InstallReply {
    this.#checkLeader(from);
    limitParts(from.nodeId, ask.part, ask.parts);
    if (ask.leaderTerm < this.state.term) {
      return this.#installReply(this.state, "stale_term", 0, this.#lastIndex());
    }
    const state = this.#acceptLeader(ask.leaderTerm, from.nodeId);
    const { arrived, handedOver } = this.#volatile;
    const before = { ...this.#durable, state };
    if (ask.index <= state.appliedIndex) {
      this.#durable = before;
      arrived.clear();
      return this.#installReply(state, "not_ahead", 0, state.appliedIndex);
    }
    const known = ask.part === 1 ? [] : (arrived.get(ask.id) ?? []);
    const parts = ask.part === known.length + 1 ? [...known, ask.rows] : known;
    const whole = parts.length >= ask.parts;
    this.#durable = whole ? installed(before, ask, parts.join(""), handedOver) : before;
    if (ask.part === 1 || whole) arrived.clear();
    if (whole) return this.#installReply(this.state, "installed", 0, ask.index);
    if (parts.length > 0) arrived.set(ask.id, parts);
    return this.#installReply(state, "waiting", parts.length + 1, 0n);
  }

  #installReply(
    { term, appliedIndex }: HardState,
    reason: InstallReply["reason"],
    nextPart: number,
    last: LogIndex,
  ): InstallReply {
    return { term, reason, next_part: nextPart, last_index: last, applied_index: appliedIndex };
  }

  /** peer.take_lead */
  takeLead(from: Sender, term: Term): boolean {
    this.#checkSender(from);
    const { state } = this.#durable;
    if (state.term !== term || state.leaderId !== from.nodeId) return false;
    if (state.alarm !== undefined) return false;
    this.#volatile.transferTerm = term;
    return true;
  }

  /** peer.submit */
  submit(from: Sender, key: string, kind: string, body: Record<string, unknown>): void {
    this.#checkSender(from);
    this.#checkLeads();
    if (this.outcome(key, 1n) !== undefined) return;
    const { term } = this.#durable.state;
    const known = this.#volatile.inbox.find(({ proposal }) => proposal.client === key);
    if (known !== undefined) known.term = term;
    else this.#volatile.inbox.push({ term, proposal: { client: key, sequence: 1n, kind, body } });
  }

  /** peer.report */
  report(from: Sender, epoch: Epoch): ReportReply {
    this.#checkSender(from);
    const { pledge } = this.#durable.state;
    const report = pledge === epoch ? this.#volatile.reports.get(epoch) : undefined;
    const handed = this.#volatile.handedOver.get(epoch);
    return {
      pledge,
      history_epoch: report?.historyEpoch ?? null,
      lsn: report?.lsn ?? null,
      shutdown_lsn: handed?.shutdownLsn ?? null,
      problem: handed?.problem ?? null,
    };
  }

  /** node.make_report */
  makeReport(epoch: Epoch, lsn: Lsn): void {
    checkReport(this.state, epoch);
    this.#volatile.reports.set(epoch, { historyEpoch: historyEpoch(this.#durable, lsn), lsn });
  }

  /** node.make_void_report */
  makeVoidReport(epoch: Epoch, nothingFrom: Epoch): void {
    checkReport(this.state, epoch, nothingFrom);
    if (this.#volatile.reports.has(epoch)) return;
    this.#volatile.reports.set(epoch, { historyEpoch: nothingFrom, lsn: null });
  }

  /** node.follow */
  follow(epoch: Epoch): void {
    const { state } = this.#durable;
    if (epoch < state.pledge) {
      throw new SqlError("RF010", `epoch ${epoch} is below the pledge for epoch ${state.pledge}`);
    }
    const followed = epoch > state.followed ? epoch : state.followed;
    this.#durable = { ...this.#durable, state: { ...state, followed } };
    for (const key of this.#volatile.reports.keys()) {
      if (key <= epoch) this.#volatile.reports.delete(key);
    }
  }

  /** node.recall */
  recall(epoch: Epoch): void {
    const { state } = this.#durable;
    if (epoch > state.followed) {
      this.#durable = { ...this.#durable, state: { ...state, followed: epoch } };
    }
  }

  /** node.hand_over_done; a null LSN says the problem instead. */
  handOverDone(epoch: Epoch, shutdownLsn: Lsn | null, problem: string | null): void {
    this.#volatile.handedOver.set(epoch, { shutdownLsn, problem });
  }

  #checkLeader(from: Sender): void {
    checkLeader(this.cluster, this.identity, from);
  }

  #checkSender(from: Sender): void {
    checkSender(this.cluster, this.identity, from);
  }

  #voter({ counter }: VoteRequest): Voter {
    const lastIndex = this.#lastIndex();
    return {
      hasVoice: hasVoice(this.cluster, this.identity),
      mayVote: this.silent || this.#isCurrent(counter),
      lastIndex,
      lastTerm: this.termAt(lastIndex) ?? 0n,
    };
  }

  #isCurrent(counter: Counter | undefined): boolean {
    return counter?.bootId === this.#volatile.bootId && counter.heard === this.#volatile.heard;
  }

  #lastIndex(): LogIndex {
    return lastIndex(this.#durable);
  }
}
