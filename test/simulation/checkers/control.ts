/** R1 to R13 as far as the product has what they speak of: looked at on each call and each applied entry. */
import type { Args } from "../model/acceptor.ts";
import type { Host } from "../model/host.ts";
import type { Store } from "../model/store.ts";
import type { LogEntry } from "../model/store-state.ts";

type Report = (invariant: string, message: string) => void;

interface Mark {
  readonly incarnation: string;
  readonly term: number;
  readonly commit: number;
  readonly applied: number;
}

export class ControlChecks {
  readonly #hosts: ReadonlyMap<number, Host>;
  readonly #report: Report;
  readonly #leaders = new Map<number, number>();
  /** Granted votes for ever: member and term to candidate. */
  readonly #votes = new Map<string, number>();
  readonly #entries = new Map<string, string>();
  /** Hash of each committed entry, and the term in which that was first known. */
  readonly #committed: { readonly hash: string; readonly term: number }[] = [];
  readonly #outcomes = new Map<number, string>();
  readonly #appliedBy = new Map<string, number>();
  readonly #answers = new Map<string, string>();
  readonly #marks = new Map<number, Mark>();
  leaderChanges = 0;

  constructor(hosts: ReadonlyMap<number, Host>, report: Report) {
    this.#hosts = hosts;
    this.#report = report;
  }

  /** What earlier runs of this very cluster have committed and voted: an image does not begin at nothing. */
  remember(stores: readonly Store[]): void {
    for (const store of stores) {
      const { log, hard, identity, proposals } = store.durable;
      for (const entry of log) this.stored(store, entry);
      for (const entry of log.slice(0, hard.commit_index)) {
        this.#committed[entry.index] ??= { hash: entry.hash, term: entry.term };
      }
      if (hard.voted_for !== null)
        this.#votes.set(`${identity.node_id}:${hard.current_term}`, hard.voted_for);
      for (const [key, found] of proposals)
        this.#answers.set(key, `${found.log_index} ${found.outcome}`);
    }
  }

  commitIndex(): number {
    return Math.max(0, this.#committed.length - 1);
  }

  storeStarted(store: Store): void {
    this.afterCall(store);
  }

  called(name: string, args: Args): void {
    const from = Number(args.p_from);
    const sender = this.#hosts.get(from)?.durable.identity.incarnation;
    if (sender !== undefined && sender !== args.p_incarnation) {
      this.#report("R13", `${name} of node ${from} was accepted from another incarnation`);
    }
    if (name !== "peer.append_entries" && name !== "peer.heartbeat") return;
    const term = Number(args.p_term);
    const known = this.#leaders.get(term);
    if (known === undefined) {
      this.#leaders.set(term, from);
      this.leaderChanges += 1;
      this.#leaderIsComplete(from, term);
    } else if (known !== from) {
      this.#report("R1", `nodes ${known} and ${from} both lead term ${term}`);
    }
    if (name === "peer.append_entries") this.#countsOwnTerm(term, Number(args.p_commit));
  }

  #leaderIsComplete(leader: number, term: number): void {
    const log = this.#hosts.get(leader)?.durable.log ?? [];
    this.#committed.forEach(({ hash, term: at }, index) => {
      if (at < term && log[index - 1]?.hash !== hash) {
        this.#report("R4", `node ${leader} leads term ${term} without committed entry ${index}`);
      }
    });
  }

  /** A commit index that is new to everybody names an entry of the leader's own term. */
  #countsOwnTerm(term: number, commit: number): void {
    if (commit <= this.commitIndex()) return;
    const own = [...this.#hosts.values()].some(({ durable }) => durable.log[commit - 1]?.term === term);
    if (!own) this.#report("R7", `the leader of term ${term} commits entry ${commit} of another term by counting`);
  }

  voted(store: Store, term: number, candidate: number): void {
    const key = `${store.node}:${term}`;
    const before = this.#votes.get(key);
    if (before !== undefined && before !== candidate) {
      this.#report("R2", `node ${store.node} voted for ${before} and ${candidate} in term ${term}`);
    }
    this.#votes.set(key, candidate);
  }

  stored(_store: Store, { index, term, hash }: LogEntry): void {
    const key = `${index}:${term}`;
    const before = this.#entries.get(key);
    if (before !== undefined && before !== hash) {
      this.#report("R3", `two logs differ at or before entry ${index} of term ${term}`);
    }
    this.#entries.set(key, hash);
  }

  committed(store: Store, upTo: number): void {
    const { log } = store.durable;
    for (let index = Math.max(1, this.#committed.length); index <= upTo; index += 1) {
      const entry = log[index - 1] as LogEntry;
      this.#held(entry);
      this.#committed[index] = { hash: entry.hash, term: store.durable.hard.current_term };
    }
    const last = log[upTo - 1];
    if (last !== undefined && this.#committed[upTo]?.hash !== last.hash) {
      this.#report("R5", `node ${store.node} commits another entry ${upTo}`);
    }
  }

  /** In a majority's durable rows, at this moment. */
  #held(entry: LogEntry): void {
    const voters = [...this.#hosts.values()];
    const holders = voters.filter(({ durable }) => durable.log[entry.index - 1]?.hash === entry.hash);
    if (holders.length * 2 > voters.length) return;
    this.#report(
      "R6",
      `entry ${entry.index} counts as committed, and ${holders.length} of ${voters.length} hold it`,
    );
  }

  applied(store: Store, entry: LogEntry, outcome: string | undefined): void {
    const known = this.#committed[entry.index];
    if (known !== undefined && known.hash !== entry.hash) {
      this.#report("R5", `node ${store.node} applies another entry ${entry.index}`);
    }
    const said = `${entry.client}:${entry.sequence} ${outcome}`;
    const before = this.#outcomes.get(entry.index);
    if (before !== undefined && before !== said) {
      this.#report("R5", `entry ${entry.index}: "${before}" on one node, "${said}" on another`);
    }
    this.#outcomes.set(entry.index, said);
    if (outcome === undefined) return;
    const key = `${store.durable.identity.incarnation} ${entry.client}:${entry.sequence}`;
    const first = this.#appliedBy.get(key);
    if (first !== undefined && first !== entry.index) {
      this.#report("R10", `${key} was applied at entry ${first} and at ${entry.index}`);
    }
    this.#appliedBy.set(key, entry.index);
  }

  /** A proposer is told what became of its proposal. */
  answered(store: Store, key: string, found: { log_index: number; outcome: string }): void {
    const said = `${found.log_index} ${found.outcome}`;
    const before = this.#answers.get(key);
    if (before !== undefined && before !== said) {
      this.#report("R10", `${key} was answered "${before}", then "${said}"`);
    }
    this.#answers.set(key, said);
    const entry = store.durable.log[found.log_index - 1];
    if (entry !== undefined) this.#held(entry);
  }

  afterCall(store: Store): void {
    const { identity, hard } = store.durable;
    const now: Mark = {
      incarnation: identity.incarnation,
      term: hard.current_term,
      commit: hard.commit_index,
      applied: hard.applied_index,
    };
    const before = this.#marks.get(store.node);
    if (
      before?.incarnation === now.incarnation &&
      (now.term < before.term || now.commit < before.commit || now.applied < before.applied)
    ) {
      this.#report("R8", `node ${store.node} went back from ${show(before)} to ${show(now)}`);
    }
    this.#marks.set(store.node, now);
  }
}

function show({ term, commit, applied }: Mark): string {
  return `term ${term}, commit ${commit}, applied ${applied}`;
}
