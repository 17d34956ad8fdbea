/** Fetches pledges and reports: every member in a loop of its own, so that a dead one delays nobody. */
import type { Clock } from "../clock/clock.ts";
import type { ReportFact } from "../coordinator/facts.ts";
import type { Epoch, NodeId } from "../core/ids.ts";
import type { Leadership } from "../raft/raft.ts";

export interface ReportOptions {
  readonly leadership: Leadership;
  readonly clock: Clock;
  /** Something new was heard. */
  readonly onNews: () => void;
}

const CALL_LIMIT_MS = 150;
/** Members say when they have reported; asking again is for what was not heard. */
const EVERY_MS = 40;
/** A member that does not answer, or an epoch that has waited for long, is asked less often. */
const SLOW_MS = 60;
const LONG_MS = 3000;

export class Reports {
  readonly #options: ReportOptions;
  #key = "";
  #scope = new AbortController();
  #hurry = new AbortController();
  #heard = new Map<NodeId, ReportFact>();

  constructor(options: ReportOptions) {
    this.#options = options;
    options.leadership.signal.addEventListener("abort", () => this.#scope.abort(), { once: true });
  }

  /** What was heard about the epoch asked for last. */
  heard(): ReadonlyMap<NodeId, ReportFact> {
    return this.#heard;
  }

  /** Ask these members about this epoch until `done` says that an answer is final. Idempotent. */
  ask(epoch: Epoch, members: readonly NodeId[], done: (report: ReportFact) => boolean): void {
    const key = `${epoch}:${members.join(",")}`;
    if (key === this.#key || this.#options.leadership.signal.aborted) return;
    this.stop();
    this.#key = key;
    const { signal } = this.#scope;
    const heard = this.#heard;
    for (const member of members) void this.#poll(member, epoch, heard, done, signal);
  }

  stop(): void {
    if (this.#key === "") return;
    this.#scope.abort();
    this.#scope = new AbortController();
    this.#heard = new Map();
    this.#key = "";
  }

  async #poll(
    member: NodeId,
    epoch: Epoch,
    heard: Map<NodeId, ReportFact>,
    done: (report: ReportFact) => boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const { leadership, clock, onNews } = this.#options;
    const started = clock.now();
    while (!signal.aborted) {
      // No answer is a value; anything else that goes wrong is no answer either.
      const report = await leadership.report(member, epoch, CALL_LIMIT_MS).catch(() => undefined);
      if (signal.aborted) return;
      if (report !== undefined) {
        const news = differs(heard.get(member), report);
        heard.set(member, report);
        if (news) onNews();
        if (done(report)) return;
      }
      const slow = report === undefined || clock.now() - started > LONG_MS;
      await clock.sleep(slow ? SLOW_MS : EVERY_MS, AbortSignal.any([signal, this.#hurry.signal]));
    }
  }

  /** Ask everyone again now. */
  nudge(): void {
    this.#hurry.abort();
    this.#hurry = new AbortController();
  }
}

function differs(a: ReportFact | undefined, b: ReportFact): boolean {
  return (
    a === undefined ||
    a.pledge !== b.pledge ||
    a.lsn !== b.lsn ||
    a.historyEpoch !== b.historyEpoch ||
    a.shutdownLsn !== b.shutdownLsn ||
    a.problem !== b.problem
  );
}
