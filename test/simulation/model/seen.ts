/**
 * What one node has seen of every member, and its acts that are not events yet: node.observed, node.progress,
 * node.act, node.data_life.
 */
import type { Row } from "./network.ts";
import type { Store } from "./store.ts";

interface ObservedRow {
  readonly node_id: number;
  readonly beat: number;
  readonly [column: string]: unknown;
}

/** What survives a crash of the store. */
export interface Kept {
  beats: number;
  acts: { key: string; since: string; event: string; reason: string; detail: unknown }[];
  dataLife: readonly string[];
}

const DEFAULTS = {
  role: "none",
  state: "stopped",
  epoch: 0,
  writable: false,
  gate_open: false,
  attached: [],
  gone: false,
  hung: false,
  raft_role: "unknown",
};
/** A change of these wakes whoever decides on them, as in node.observe. */
const WAKING = [
  ["role", "state", "epoch", "writable", "gate_open", "switch_lsn", "stamp_lsn", "attached"],
  ["rule_in_force", "rule_proved", "problem", "gone", "hung", "system_identifier"],
].flat();

export class Seen {
  readonly #store: Store;
  readonly #kept: Kept;
  readonly #rows = new Map<number, ObservedRow>();
  readonly #progress = new Map<number, Row>();

  constructor(store: Store, kept: Kept) {
    this.#store = store;
    this.#kept = kept;
  }

  /** node.data_life. */
  get dataLife(): readonly string[] {
    return this.#kept.dataLife;
  }
  set dataLife(known: readonly string[]) {
    this.#kept.dataLife = known;
  }

  rows(): readonly ObservedRow[] {
    return [...this.#rows.values()].sort((a, b) => a.node_id - b.node_id);
  }

  /** True when it says something new. */
  observe(text: string): boolean {
    const { node } = this.#store;
    const before = this.#rows.get(node);
    this.#kept.beats += 1;
    const row: ObservedRow = {
      ...DEFAULTS,
      ...JSON.parse(text),
      node_id: node,
      beat: this.#kept.beats,
      observed_at: this.#store.displayTime(),
    };
    this.#rows.set(node, row);
    if (row.state === "fenced") this.#store.world.checks.claimedFenced(node);
    return tellsNews(before, row);
  }

  own(): ObservedRow | null {
    const { node, acceptor } = this.#store;
    const own = this.#rows.get(node);
    if (own === undefined) return null;
    const { leaderId } = acceptor.state;
    const newest = (epochs: Iterable<bigint>) =>
      [...epochs].reduce((a, b) => (b > a ? b : a), 0n).toString();
    return {
      ...own,
      reported: newest(acceptor.unlogged.reports.keys()),
      handed_over: newest(acceptor.unlogged.handedOver.keys()),
      progress: this.#progress.get(node) ?? null,
      raft_role: leaderId === node ? "leader" : leaderId === undefined ? "candidate" : "follower",
    };
  }

  /** All of it, for gossip. */
  shared(): readonly (ObservedRow | null)[] {
    const { node } = this.#store;
    return this.rows().map((row) =>
      row.node_id === node
        ? this.own()
        : { ...row, progress: this.#progress.get(row.node_id) ?? null },
    );
  }

  /** Of itself a node knows better; the newest row of each other counts. True when one tells something new. */
  take(rows: unknown): boolean {
    const { node, acceptor } = this.#store;
    let news = false;
    for (const row of JSON.parse(String(rows)) as ObservedRow[]) {
      const { node_id, beat } = row;
      // A store made anew counts its looks from one again: on from those of its former life.
      if (node_id === node) this.#kept.beats = Math.max(this.#kept.beats, beat);
      if (node_id === node || !acceptor.cluster.members.some((one) => one.node_id === node_id)) {
        continue;
      }
      const { reported: _r, handed_over: _h, progress, ...kept } = row;
      if (progress === null || progress === undefined) this.#progress.delete(node_id);
      else this.#progress.set(node_id, progress as Row);
      const known = this.#rows.get(node_id);
      if (known !== undefined && known.beat >= beat) continue;
      news ||= tellsNews(known, row);
      this.#rows.set(node_id, { ...kept, node_id, beat, observed_at: this.#store.displayTime() });
    }
    return news;
  }

  setProgress(row: Row | null): void {
    if (row === null) this.#progress.delete(this.#store.node);
    else this.#progress.set(this.#store.node, row);
  }

  note(act: { readonly event: string; readonly reason: string; readonly detail: unknown }): void {
    const since = `${this.#store.acceptor.state.appliedIndex}`;
    this.#kept.acts.push({ key: this.#store.uuid(), since, ...act });
  }

  /** Those that became an event are forgotten. */
  pendingActs(): readonly Row[] {
    const { acceptor, node } = this.#store;
    this.#kept.acts = this.#kept.acts.filter(({ key }) => acceptor.outcome(key, 1n) === undefined);
    return this.#kept.acts.slice(0, 20).map(({ key, ...act }) => ({
      key,
      body: { at: this.#store.displayTime(), node_id: node, ...act },
    }));
  }
}

/** Positions and beats change all the time, and are no news. */
function tellsNews(before: ObservedRow | undefined, row: ObservedRow): boolean {
  return WAKING.some((name) => JSON.stringify(before?.[name]) !== JSON.stringify(row[name]));
}
