/**
 * Probes of a suspected primary's data port, begun before they are needed.
 *
 * A frozen node is noticed by an election, and by then its data port must have been silent for a while:
 * so every worker keeps one watch for life, and a follower that misses heartbeats starts it early.
 * Nothing is probed while nothing is suspected.
 */
import type { Clock } from "../clock/clock.ts";
import type { ProbeFact, View } from "../coordinator/facts.ts";
import { type Flap, isInferred, oneMore } from "../coordinator/flapping.ts";
import type { NodeId } from "../core/ids.ts";

export interface Target {
  readonly id: NodeId;
  readonly host: string;
  readonly port: number;
}

export type ProbeResult = "refused" | "silent" | "answers";

export interface WatchOptions {
  readonly clock: Clock;
  /** One try: connect, ask, hang up. Never rejects. */
  readonly probe: (target: Target, limitMs: number) => Promise<ProbeResult>;
}

/** A suspicion that is not renewed ends after this. */
const KEEP_MS = 1000;
const PROBE_LIMIT_MS = 2000;
/** A connection whose first packet is lost takes a second: another is tried beside it. */
const BESIDE_MS = 150;
const EVERY_MS = 40;
/** An answer this young outweighs a question that is still open. */
const ANSWER_COUNTS_MS = 200;

/** A node that has moved is another target: what was refused at its old place tells nothing. */
function isSame(a: Target, b: Target): boolean {
  return a.id === b.id && a.host === b.host && a.port === b.port;
}

/** What a worker remembers from one leadership to the next. */
export interface Memory {
  /** When this worker last opened an epoch because of silence (H47). */
  lastInferredFailover?: number;
  lastTransfer?: number;
}

/** Failovers that silence caused, as this worker and those before it on its node saw them applied. */
export class Flaps {
  readonly #nodes = new Map<NodeId, { count: number; at: number }>();
  #newest: bigint | undefined;
  /** How many were counted: whether there is something new to be written down. */
  counted = 0;

  /** Before the first look: what the worker before knew. What came to pass since then counts from that look on. */
  recall(
    { newest, flaps }: { readonly newest: bigint; readonly flaps: ReadonlyMap<NodeId, Flap> },
    now: number,
  ): void {
    this.#newest = newest;
    for (const [id, { count, sinceMs }] of flaps) this.#nodes.set(id, { count, at: now - sinceMs });
  }

  /** The newest epoch that was looked at. */
  get newest(): bigint {
    return this.#newest ?? 0n;
  }

  /** Take in the newest epochs. Those from before the first look are history, unless somebody looked before. */
  note(epochs: View["epochs"], now: number): void {
    for (const { epoch, cause, old_primary } of [...epochs].reverse()) {
      const fresh = this.#newest !== undefined && epoch > this.#newest;
      if (fresh && old_primary !== null && isInferred(cause)) this.#add(old_primary, now);
    }
    this.#newest = epochs[0]?.epoch ?? this.#newest ?? 0n;
  }

  facts(now: number): ReadonlyMap<NodeId, Flap> {
    return new Map(
      [...this.#nodes].map(([id, { count, at }]) => [id, { count, sinceMs: now - at }]),
    );
  }

  #add(id: NodeId, now: number): void {
    const { count } = oneMore(this.facts(now).get(id));
    this.#nodes.set(id, { count, at: now });
    this.counted += 1;
  }
}

export class PrimaryWatch {
  readonly memory: Memory = {};
  readonly flaps = new Flaps();
  readonly #options: WatchOptions;
  #target: Target | undefined;
  #keepUntil = 0;
  #loop: Promise<void> | undefined;
  #last: { readonly result: ProbeResult; readonly since: number } | undefined;
  /** When the first question was asked that is still without an answer. */
  #unanswered: number | undefined;
  #silence: { readonly leader: NodeId; readonly since: number } | undefined;
  #onNews: () => void = () => undefined;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  /** Probe this data server until a second after the last call. */
  suspect(target: Target): void {
    const { clock } = this.#options;
    const same = this.#target !== undefined && isSame(target, this.#target);
    if (!same || clock.now() > this.#keepUntil) this.#forget();
    this.#target = target;
    this.#keepUntil = clock.now() + KEEP_MS;
    this.#loop ??= this.#run().finally(() => {
      this.#loop = undefined;
    });
  }

  /** What is known of this node's data port. */
  fact(id: NodeId | undefined): ProbeFact {
    const now = this.#options.clock.now();
    const last = this.#last;
    if (this.#target === undefined || id !== this.#target.id || now > this.#keepUntil) {
      return { result: "untested", sinceMs: 0 };
    }
    const waiting = this.#unanswered === undefined ? 0 : now - this.#unanswered;
    const counts = last?.result === "refused" || waiting < ANSWER_COUNTS_MS;
    if (last !== undefined && last.result !== "silent" && counts) {
      return { result: last.result, sinceMs: now - last.since };
    }
    return { result: "silent", sinceMs: waiting };
  }

  /** Nothing was heard from `leader` for `quietMs`: should it be deposed, its silence began then. */
  leaderIsQuiet(leader: NodeId, quietMs: number): void {
    this.#silence = { leader, since: this.#options.clock.now() - quietMs };
  }

  /** How long the store of a leader that was deposed for silence has been silent. */
  silentMs(id: NodeId): number | undefined {
    return this.#silence?.leader === id
      ? this.#options.clock.now() - this.#silence.since
      : undefined;
  }

  /** It was heard after all. */
  leaderIsHeard(): void {
    this.#silence = undefined;
  }

  /** Call back at each new result; one listener. */
  onNews(listener: () => void): void {
    this.#onNews = listener;
  }

  #forget(): void {
    this.#last = undefined;
    this.#unanswered = undefined;
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    while (clock.now() <= this.#keepUntil) {
      const target = this.#target as Target;
      this.#unanswered ??= clock.now();
      const result = await this.#ask(target);
      if (isSame(target, this.#target as Target)) this.#note(result);
      await clock.sleep(EVERY_MS);
    }
  }

  async #ask(target: Target): Promise<ProbeResult> {
    const { clock, probe } = this.#options;
    const first = probe(target, PROBE_LIMIT_MS);
    const done = new AbortController();
    const beside = clock.sleep(BESIDE_MS, done.signal).then(() => "late" as const);
    const early = await Promise.race([first, beside]);
    done.abort();
    if (early !== "late") return early;
    const both = [first, probe(target, PROBE_LIMIT_MS)];
    const word = async (one: Promise<ProbeResult>) => {
      const result = await one;
      if (result === "silent") throw new Error(result);
      return result;
    };
    return await Promise.any(both.map(word)).catch(() => "silent" as const);
  }

  #note(result: ProbeResult): void {
    const now = this.#options.clock.now();
    const since = this.#last?.result === result ? this.#last.since : now;
    const news = this.#last?.result !== result;
    this.#last = { result, since };
    if (result !== "silent") this.#unanswered = undefined;
    if (news) this.#onNews();
  }
}
