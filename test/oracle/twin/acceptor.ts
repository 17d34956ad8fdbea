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
  LeaseReply,
  PreVoteReply,
  ReportReply,
  Sender,
  VoteReply,
  VoteRequest,
} from "../../../src/db/peer.ts";
import type { Entry, InboxProposal, StoreSample } from "../../../src/db/raft.ts";
import { type Cluster, initialCluster, type Member } from "./cluster.ts";
import { type Durable, type HardState, learnCommit, NO_PROMISES } from "./learn-commit.ts";
import { checkReport, historyEpoch } from "./reports.ts";
import { SqlError, sqlAssert } from "./sql-error.ts";
import { type AcceptorIdentity, hasVoice } from "./voice.ts";
import { freshVolatile, type Volatile } from "./volatile.ts";

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
    this.#durable = { state: NO_PROMISES, log: [], cluster: initialCluster(members, mode) };
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
  get cluster(): Cluster {
    return this.#durable.cluster;
  }
  get counter(): Counter {
    return { bootId: this.#volatile.bootId, heard: this.#volatile.heard };
  }

  /** What a crash would take. */
  get unlogged(): Pick<Volatile, "inbox" | "reports" | "handedOver" | "reads"> {
    return this.#volatile;
  }

  /** raft.sample */
  sample(): StoreSample {
    const { state, cluster } = this.#durable;
    const newest = cluster.epochs.at(-1);
    return {
      ...this.counter,
      term: state.term,
      leaderId: state.leaderId,
      lastIndex: this.#lastIndex(),
      lastTerm: this.termAt(this.#lastIndex()) ?? 0n,
      commitIndex: state.commitIndex,
      appliedIndex: state.appliedIndex,
      alarm: state.alarm,
      inbox: BigInt(this.#volatile.inbox.length),
      transferTerm: this.#volatile.transferTerm,
      epoch: newest?.epoch ?? 0n,
      primaryId: newest?.node_id ?? undefined,
      leaseAsked: this.#volatile.leaseAsked,
      members: this.cluster.members.map((member) => ({
        id: member.node_id,
        incarnation: member.incarnation,
        host: member.control_host,
        port: member.control_port,
        voter: member.voter,
      })),
      voters: this.cluster.members.filter(({ voter }) => voter).map(({ node_id }) => node_id),
    };
  }

  #hasVoice(): boolean {
    return hasVoice(this.cluster, this.identity);
  }

  /** raft.mark_silent */
  markSilent({ bootId, heard }: Counter): boolean {
    if (!this.#isCurrent({ bootId, heard })) return false;
    this.#volatile.silence = { bootId, heard };
    return true;
  }

  /** Whether the mark is valid (`raft.sample().silent`). */
  get silent(): boolean {
    return this.#isCurrent(this.#volatile.silence);
  }

  /** raft.term_at: 0 before the first entry, undefined beyond the last. */
  termAt(index: LogIndex): Term | undefined {
    return index === 0n ? 0n : this.#durable.log[Number(index) - 1]?.term;
  }

  /** raft.read_log; bodies are not weighed, so only the number of entries bounds it. */
  readLog(from: LogIndex, maxEntries: number): readonly Entry[] {
    return this.#durable.log.slice(Number(from) - 1, Number(from) - 1 + maxEntries);
  }

  /** raft.outcome */
  outcome(client: string, sequence: bigint): { index: LogIndex; outcome: string } | undefined {
    return this.#durable.cluster.proposals.get(`${client}/${sequence}`);
  }

  /** raft.take_inbox */
  takeInbox(max: number): readonly InboxProposal[] {
    return this.#volatile.inbox.splice(0, max);
  }

  /** peer.pre_vote */
  preVote(from: Sender, ask: VoteRequest): PreVoteReply {
    this.#checkSender(from);
    const { state } = this.#durable;
    const reason = this.#preVerdict(state, ask);
    const { bootId, heard } = this.counter;
    return { term: state.term, granted: reason === "granted", reason, boot_id: bootId, heard };
  }

  #preVerdict(state: HardState, ask: VoteRequest): PreVoteReply["reason"] {
    if (!this.#hasVoice()) return "learner";
    if (ask.term <= state.term) return "stale_term";
    if (this.#isBehind(ask)) return "log_behind";
    return this.#mayVote(ask.counter) ? "granted" : "not_marked";
  }

  /** peer.request_vote */
  requestVote(from: Sender, ask: VoteRequest & { readonly transfer: boolean }): VoteReply {
    this.#checkSender(from);
    let { state } = this.#durable;
    const open = ask.transfer || this.#mayVote(ask.counter);
    if (ask.term > state.term && this.#hasVoice() && open) {
      state = { ...state, term: ask.term, votedFor: undefined, leaderId: undefined };
    }
    const reason = this.#verdict(state, from.nodeId, ask);
    if (reason === "granted") state = { ...state, votedFor: from.nodeId };
    this.#durable = { ...this.#durable, state };
    return { term: state.term, granted: reason === "granted", reason };
  }

  #verdict(state: HardState, candidate: NodeId, ask: VoteRequest): VoteReply["reason"] {
    if (!this.#hasVoice()) return "learner";
    if (ask.term > state.term) return "not_marked";
    if (ask.term < state.term) return "stale_term";
    if ((state.votedFor ?? candidate) !== candidate) return "already_voted";
    if (state.leaderId !== undefined) return "leader_known";
    return this.#isBehind(ask) ? "log_behind" : "granted";
  }

  /** peer.heartbeat */
  heartbeat(from: Sender, term: Term): HeartbeatReply {
    this.#checkSender(from);
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
    this.#checkSender(from);
    let { state } = this.#durable;
    if (ask.term < state.term) {
      const last = this.#lastIndex();
      return this.#answer(state, "stale_term", last, this.termAt(last));
    }
    if (ask.term > state.term || state.leaderId === undefined) {
      const votedFor = ask.term > state.term ? undefined : state.votedFor;
      state = { ...state, votedFor, term: ask.term, leaderId: from.nodeId };
    }
    sqlAssert(
      state.leaderId === from.nodeId,
      `nodes ${state.leaderId} and ${from.nodeId} both lead term ${ask.term}`,
    );
    this.#volatile.heard += 1n;

    if (this.termAt(ask.prevIndex) !== ask.prevTerm) {
      this.#durable = { ...this.#durable, state };
      const hint = this.#whereToTry(ask.prevIndex);
      return this.#answer(state, "log_conflict", hint, this.termAt(hint));
    }
    const match = ask.prevIndex + BigInt(ask.entries.length);
    const log = this.#stored(ask, state.commitIndex);
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

  /** Our end, or just before the whole of the term that differs. */
  #whereToTry(prevIndex: LogIndex): LogIndex {
    const at = this.termAt(prevIndex);
    return this.#durable.log.reduce(
      (max, { index, term }) =>
        index < prevIndex && (at === undefined || term < at) && index > max ? index : max,
      0n,
    );
  }

  /** raft.store_entries: what we hold already stays; the first that differs is cut off with all behind it. */
  #stored({ entries }: Append, commitIndex: LogIndex): readonly Entry[] {
    const { log } = this.#durable;
    const first = entries.find(({ index, term }) => this.termAt(index) !== term);
    if (first === undefined) return log;
    sqlAssert(
      first.index > commitIndex,
      `a leader would cut entry ${first.index}, ${commitIndex} is committed`,
    );
    const kept = log.slice(0, Number(first.index) - 1);
    return [...kept, ...entries.filter(({ index }) => index >= first.index)];
  }

  /** peer.take_lead */
  takeLead(from: Sender, term: Term): boolean {
    this.#checkSender(from);
    const { state } = this.#durable;
    if (state.term !== term || state.leaderId !== from.nodeId) return false;
    this.#volatile.transferTerm = term;
    return true;
  }

  /** peer.submit */
  submit(from: Sender, key: string, kind: string, body: Record<string, unknown>): void {
    this.#checkSender(from);
    this.#checkLeads();
    const known = this.#volatile.inbox.some(({ client }) => client === key);
    if (known || this.outcome(key, 1n) !== undefined) return;
    this.#volatile.inbox.push({ client: key, sequence: 1n, kind, body });
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

  /** raft.check_sender, without the login, which is the connection's affair. */
  #checkSender({ clusterId, nodeId, incarnation }: Sender): void {
    if (clusterId !== this.identity.clusterId) {
      throw new SqlError("RF008", `node ${nodeId} belongs to another cluster`);
    }
    const member = this.#durable.cluster.members.find(({ node_id }) => node_id === nodeId);
    if (member === undefined) throw new SqlError("RF008", `node ${nodeId} is no member`);
    if (member.incarnation !== null && member.incarnation !== incarnation) {
      throw new SqlError("RF008", `node ${nodeId} is not the incarnation this cluster knows`);
    }
  }

  #mayVote(counter: Counter | undefined): boolean {
    return this.silent || this.#isCurrent(counter);
  }

  #isCurrent(counter: Counter | undefined): boolean {
    return counter?.bootId === this.#volatile.bootId && counter.heard === this.#volatile.heard;
  }

  #isBehind({ lastTerm, lastIndex }: VoteRequest): boolean {
    const last = this.#lastIndex();
    const ours = this.termAt(last) ?? 0n;
    return lastTerm < ours || (lastTerm === ours && lastIndex < last);
  }

  #lastIndex(): LogIndex {
    return BigInt(this.#durable.log.length);
  }
}
