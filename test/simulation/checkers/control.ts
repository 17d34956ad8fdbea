/** R1 to R13 as far as the product has what they speak of: looked at on each call and each applied entry. */
import { isDeepStrictEqual } from "node:util";
import type { Acceptor, Durable } from "../../oracle/twin/acceptor.ts";
import { isChange, MemberChecks } from "./members.ts";

type Report = (invariant: string, message: string) => void;

/** A node as these checks see it: its acceptor, whether its store runs or not, and who it is. */
export interface Voter {
  readonly acceptor: Pick<Acceptor, "base" | "log" | "state" | "cluster">;
  readonly incarnation: string;
}

/** An entry that a node has applied; `first`: before any other. */
export interface Told {
  readonly index: number;
  readonly kind: string;
  readonly outcome: string;
  readonly first: boolean;
}

/** One answered call of a peer. */
export interface Call {
  readonly name: string;
  /** Whom the node that was called knew when it was called: what it applied then may have removed the caller. */
  readonly members: Acceptor["cluster"]["members"];
  readonly applied: number;
  readonly to: number;
  readonly from: number;
  readonly incarnation: string;
  readonly term: number;
  readonly commit: number;
  readonly granted: boolean;
  readonly installed: boolean;
}

/** What only a leader calls. */
const LEADS = new Set(["peer.append_entries", "peer.heartbeat", "peer.install_snapshot"]);

interface Mark {
  readonly incarnation: string;
  readonly term: bigint;
  readonly commit: bigint;
  readonly applied: bigint;
  readonly pledge: bigint;
}

export class ControlChecks {
  readonly #voters: ReadonlyMap<number, Voter>;
  readonly #report: Report;
  readonly #leaders = new Map<number, number>();
  /** Granted votes for ever: life of a member and term to candidate. */
  readonly #votes = new Map<string, number>();
  /** Who has voted for this candidate in this term, in which life. */
  readonly #ballots = new Map<string, Map<number, string>>();
  readonly members: MemberChecks;
  readonly #entries = new Map<string, string>();
  /** Of each node's log: a chain over its entries, so that equal links mean equal beginnings. */
  readonly #chains = new Map<number, string[]>();
  /** Logs of lives that are over: what they held was held, as long as the members speak of them. */
  readonly #lost: { readonly node: number; readonly life: string; readonly chain: string[] }[] = [];
  /** The chain up to each committed entry, and the term in which that was first known. */
  readonly #committed: { readonly link: string; readonly term: bigint }[] = [];
  readonly #outcomes = new Map<number, string>();
  readonly #appliedAt = new Map<string, number>();
  readonly #answers = new Map<string, string>();
  readonly #marks = new Map<number, Mark>();
  /** The state as entries left it where they were applied. */
  readonly #states = new Map<bigint, Acceptor["cluster"]>();
  snapshots = 0;
  leaderChanges = 0;

  constructor(voters: ReadonlyMap<number, Voter>, report: Report) {
    this.#voters = voters;
    this.#report = report;
    this.members = new MemberChecks(report);
  }

  /** What earlier runs of this very cluster have committed and voted: an image does not begin at nothing. */
  remember(): void {
    for (const [node, { acceptor }] of this.#voters) {
      this.stored(node);
      const { commitIndex, votedFor, term } = acceptor.state;
      const chain = this.#chains.get(node) ?? [];
      for (let index = 1; index <= Number(commitIndex); index += 1) {
        const term = acceptor.log[index - 1]?.term ?? 0n;
        this.#committed[index] ??= { link: chain[index] as string, term };
      }
      if (votedFor !== undefined) this.#voted(node, Number(term), votedFor);
      for (const [key, found] of acceptor.cluster.proposals)
        this.#answers.set(key, `${found.index} ${found.outcome}`);
    }
    const acceptors = [...this.#voters.values()].map(({ acceptor }) => acceptor);
    const { state, cluster } = acceptors.reduce((a, b) =>
      b.state.appliedIndex > a.state.appliedIndex ? b : a,
    );
    this.members.begin(cluster.members, Number(state.appliedIndex));
  }

  /** A store was made anew: nothing of the former one's log and promises is there. */
  begunAnew(node: number, life: string): void {
    this.#lost.push({ node, life, chain: this.#chains.get(node) ?? [] });
    this.#chains.delete(node);
    this.#marks.delete(node);
  }

  commitIndex(): number {
    return Math.max(0, this.#committed.length - 1);
  }

  /** Undefined when it is not in the log, or not any more. */
  #entry(node: number, index: number): Logged {
    const { log, base } = (this.#voters.get(node) as Voter).acceptor;
    return log[index - Number(base.index) - 1];
  }

  called(call: Call): void {
    const { name, to, from, term, commit, granted, installed } = call;
    // It tells, and takes nothing: also for a life that no log knows yet.
    if (name !== "peer.hello") this.#fromMember(call);
    if (name === "peer.request_vote" && granted) this.#voted(to, term, from);
    if (name === "peer.install_snapshot" && installed) this.snapshots += 1;
    if (!LEADS.has(name)) return;
    const leader = this.#leaders.get(term);
    if (leader === undefined) {
      this.#leaders.set(term, from);
      this.leaderChanges += 1;
      this.#leaderIsComplete(from, term);
      this.members.won(from, term, this.#ballots.get(`${term}:${from}`) ?? new Map());
    } else if (leader !== from) {
      this.#report("R1", `nodes ${leader} and ${from} both lead term ${term}`);
    }
    if (name === "peer.append_entries") this.#countsOwnTerm(term, commit);
  }

  /**
   * As the node that was called knows its members; one that it does not know must be one by the log from where that
   * node stands in it (H53).
   */
  #fromMember({ members, applied, from, incarnation, name }: Call): void {
    const member = members.find(({ node_id }) => node_id === from);
    if (member === undefined && this.members.known !== undefined) {
      if (this.members.includedFrom(applied, from, incarnation)) return;
      this.#report("R13", `${name} of node ${from} was accepted, which is no member`);
    }
    const known = member === undefined ? this.#voters.get(from)?.incarnation : member.incarnation;
    // Who leads may live again since: that, this store is yet to hear.
    if (LEADS.has(name) && this.members.includedFrom(applied, from, incarnation)) return;
    if (known != null && known !== incarnation) {
      this.#report("R13", `${name} of node ${from} was accepted from another incarnation`);
    }
  }

  #leaderIsComplete(leader: number, term: number): void {
    const chain = this.#chains.get(leader) ?? [];
    this.#committed.forEach(({ link, term: at }, index) => {
      if (at < BigInt(term) && chain[index] !== link) {
        this.#report("R4", `node ${leader} leads term ${term} without committed entry ${index}`);
      }
    });
  }

  /** A commit index that is new to everybody names an entry of the leader's own term. */
  #countsOwnTerm(term: number, commit: number): void {
    if (commit <= this.commitIndex()) return;
    const own = [...this.#voters.keys()].some(
      (node) => this.#entry(node, commit)?.term === BigInt(term),
    );
    if (own) return;
    this.#report(
      "R7",
      `the leader of term ${term} commits entry ${commit} of another term by counting`,
    );
  }

  #voted(voter: number, term: number, candidate: number): void {
    const life = this.#voters.get(voter)?.incarnation ?? "";
    const ballot = this.#ballots.get(`${term}:${candidate}`) ?? new Map<number, string>();
    this.#ballots.set(`${term}:${candidate}`, ballot.set(voter, life));
    const key = `${voter}/${life}:${term}`;
    const before = this.#votes.get(key);
    if (before !== undefined && before !== candidate) {
      this.#report("R2", `node ${voter} voted for ${before} and ${candidate} in term ${term}`);
    }
    this.#votes.set(key, candidate);
  }

  /** A node's log has changed. */
  stored(node: number): void {
    const { log, base } = (this.#voters.get(node) as Voter).acceptor;
    const start = Number(base.index);
    const end = start + log.length;
    const chain = this.#chains.get(node) ?? [""];
    // A snapshot stands for what was committed up to there, whatever this log held before: that was abandoned.
    const stands = start === 0 || chain[start] === this.#committed[start]?.link;
    for (let index = 1; index <= start && !stands; index += 1) {
      chain[index] = this.#committed[index]?.link ?? "";
    }
    let from = Math.min(chain.length - 1, end);
    while (from > start && chain[from] !== linkOf(chain[from - 1], this.#entry(node, from)))
      from -= 1;
    chain.length = from + 1;
    for (let index = from + 1; index <= end; index += 1) {
      const entry = this.#entry(node, index);
      if (entry !== undefined && !this.#entries.has(`${index}:${entry.term}`)) {
        this.members.proposed({ ...entry, index }, this.#openChange(node, index));
      }
      chain[index] = linkOf(chain[index - 1], entry);
      const key = `${index}:${entry?.term}`;
      const before = this.#entries.get(key);
      if (before !== undefined && before !== chain[index]) {
        this.#report("R3", `two logs differ at or before entry ${index} of term ${entry?.term}`);
      }
      this.#entries.set(key, chain[index] as string);
    }
    this.#chains.set(node, chain);
  }

  /** The newest change of the members in this log below an entry, unless it is committed. */
  #openChange(node: number, below: number): number | undefined {
    for (let index = below - 1; index > this.commitIndex(); index -= 1) {
      if (isChange(this.#entry(node, index)?.kind ?? "")) return index;
    }
    return undefined;
  }

  /** A node's commit index has risen. */
  committed(node: number): void {
    const { commitIndex, term } = (this.#voters.get(node) as Voter).acceptor.state;
    const chain = this.#chains.get(node) ?? [];
    const upTo = Number(commitIndex);
    for (let index = Math.max(1, this.#committed.length); index <= upTo; index += 1) {
      this.#held(index, chain[index]);
      this.#committed[index] = { link: chain[index] as string, term };
      const entry = this.#entry(node, index);
      if (entry !== undefined) this.members.committed(entry.term);
    }
    if (upTo > 0 && this.#committed[upTo]?.link !== chain[upTo]) {
      this.#report("R5", `node ${node} commits another entry ${upTo}`);
    }
  }

  /** In a majority's durable rows, at this moment. */
  #held(index: number, link: string | undefined): void {
    const nodes = [...this.#voters];
    const holders = nodes.filter(([node]) => this.#chains.get(node)?.[index] === link);
    const lives = new Map(holders.map(([node, { incarnation }]) => [node, incarnation] as const));
    for (const { node, life, chain } of this.#lost) {
      if (chain[index] === link && this.members.includes(node, life)) lives.set(node, life);
    }
    const { known } = this.members;
    const enough =
      known === undefined ? holders.length * 2 > nodes.length : this.members.decide(lives);
    if (enough) return;
    const by = [...lives.keys()].join(", ");
    this.#report(
      "R6",
      `entry ${index} counts as committed, and of ${nodes.length} only ${by} hold it`,
    );
  }

  /** A crash took durable rows: what counts as committed must still be held by a majority (R6). */
  forgot(node: number): void {
    this.stored(node);
    const last = this.commitIndex();
    if (last > 0) this.#held(last, this.#committed[last]?.link);
  }

  /** A node's applied index has risen from where it stood in `before`; outcomes by entry, for the trace. */
  applied(node: number, before: Durable): Told[] {
    const { incarnation, acceptor } = this.#voters.get(node) as Voter;
    const told: Told[] = [];
    let missed = false;
    const { appliedIndex } = acceptor.state;
    this.#stateIsThatOf(node, before);
    for (let index = Number(before.state.appliedIndex) + 1; index <= appliedIndex; index += 1) {
      const entry = this.#entry(node, index);
      if (entry === undefined) continue;
      const key = `${entry.client}/${entry.sequence}`;
      const found = acceptor.cluster.proposals.get(key);
      // Applied and forgotten in one call: what is left says nothing of it.
      if (found === undefined) {
        missed = true;
        continue;
      }
      const again = found.index !== entry.index;
      const first = before.cluster.proposals.get(key);
      // The first may be forgotten in this call, and the retry refused for that.
      if (first !== undefined && !again && found.outcome !== "too_late") {
        this.#report("R10", `${key} took effect at entry ${first.index}, and again at ${index}`);
      }
      const said = `${key} ${again ? "again" : found.outcome}`;
      const other = this.#outcomes.get(index);
      if (other !== undefined && other !== said) {
        this.#report("R5", `entry ${index}: "${other}" on one node, "${said}" on another`);
      }
      this.#outcomes.set(index, said);
      // A refusal for coming too late is no effect.
      if (!again && found.outcome !== "too_late") this.#appliedOnce(`${incarnation} ${key}`, index);
      const outcome = again ? "again" : found.outcome;
      const { kind, body } = entry;
      const isFirst = outcome === "ok" && this.members.applied({ index, kind, body });
      told.push({ index, kind, outcome, first: isFirst });
    }
    const { members } = acceptor.cluster;
    if (missed) this.members.begin(members, Number(appliedIndex));
    else this.members.compare(node, members, Number(appliedIndex));
    return told;
  }

  /** R11: who was served a snapshot has the state that its entry left on whoever applied it. */
  #stateIsThatOf(node: number, before: Durable): void {
    const { base, state, cluster } = (this.#voters.get(node) as Voter).acceptor;
    const { appliedIndex } = state;
    const served = base.index > before.state.appliedIndex && base.index === appliedIndex;
    if (!served) this.#states.set(appliedIndex, cluster);
    else if (!isDeepStrictEqual(this.#states.get(appliedIndex), cluster)) {
      this.#report("R11", `node ${node} has not the state that entry ${appliedIndex} left`);
    }
  }

  #appliedOnce(key: string, index: number): void {
    const first = this.#appliedAt.get(key);
    if (first !== undefined && first !== index) {
      this.#report("R10", `${key} was applied at entry ${first} and at ${index}`);
    }
    this.#appliedAt.set(key, index);
  }

  /** A proposer is told what became of its proposal. */
  answered(node: number, key: string, found: { index: bigint; outcome: string }): void {
    const said = `${found.index} ${found.outcome}`;
    const before = this.#answers.get(key);
    if (before !== undefined && before !== said) {
      this.#report("R10", `${key} was answered "${before}", then "${said}"`);
    }
    this.#answers.set(key, said);
    this.#held(Number(found.index), this.#chains.get(node)?.[Number(found.index)]);
  }

  /** Who reads up to an entry sees everything that was committed when it asked. */
  readConfirmed(node: number, index: number, committed: number): void {
    if (index >= committed) return;
    const why = `node ${node} lets it read at entry ${index}`;
    this.#report("R12", `entry ${committed} was committed before a read, and ${why}`);
  }

  afterCall(node: number): void {
    const { incarnation, acceptor } = this.#voters.get(node) as Voter;
    const { term, commitIndex: commit, appliedIndex: applied, pledge } = acceptor.state;
    const now: Mark = { incarnation, term, commit, applied, pledge };
    const before = this.#marks.get(node);
    if (
      before?.incarnation === now.incarnation &&
      (now.term < before.term || now.commit < before.commit || now.applied < before.applied)
    ) {
      this.#report("R8", `node ${node} went back from ${show(before)} to ${show(now)}`);
    }
    if (before?.incarnation === incarnation && pledge < before.pledge) {
      this.#report("D5", `node ${node} forgot its pledge for epoch ${before.pledge}`);
    }
    this.#marks.set(node, now);
  }
}

type Logged = Acceptor["log"][number] | undefined;

/** A short hash that covers all before it. */
function linkOf(before: string | undefined, entry: Logged): string {
  const text = `${before}|${entry?.term}|${entry?.kind}|${entry?.client}|${entry?.sequence}`;
  let a = 0x811c9dc5;
  let b = 0x1b873593;
  for (let at = 0; at < text.length; at += 1) {
    const letter = text.charCodeAt(at);
    a = Math.imul(a ^ letter, 0x01000193);
    b = Math.imul(b ^ letter, 0x85ebca6b) ^ (b >>> 13);
  }
  return (a >>> 0).toString(36) + (b >>> 0).toString(36);
}

function show({ term, commit, applied }: Mark): string {
  return `term ${term}, commit ${commit}, applied ${applied}`;
}
