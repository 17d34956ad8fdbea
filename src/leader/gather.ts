/** Everything the coordinator decides on, collected: the view of the own store, reach, probes, reports, ages. */
import type { Clock } from "../clock/clock.ts";
import { classifyPrimary, healthOf } from "../coordinator/classify.ts";
import {
  type Facts,
  type MemberFact,
  newest,
  primaryOf,
  type ReportFact,
} from "../coordinator/facts.ts";
import type { NodeId } from "../core/ids.ts";
import { surelyOverMs } from "../core/lease.ts";
import type { ClusterView } from "../db/cluster.ts";
import type { Leadership } from "../raft/raft.ts";
import { Ages } from "./ages.ts";
import { Reports } from "./reports.ts";
import { primaryTarget } from "./suspect.ts";
import type { PrimaryWatch } from "./watch.ts";

export interface GatherOptions {
  readonly leadership: Leadership;
  readonly readView: () => Promise<ClusterView>;
  readonly watch: PrimaryWatch;
  readonly clock: Clock;
  /** The wall clock, for "not before" alone: ms since 1970. */
  readonly wall: () => number;
  readonly silentMs: number;
  readonly leaseMs: number;
  /** Something was heard that may change the decision. */
  readonly onNews: () => void;
}

/** A beat that is later than this is worth a probe: the answer is there when it counts. */
const BEAT_EXPECTED_MS = 1200;
/** After this a deposed leader's link has been tried anew, and speaks for itself. */
const LINK_TRIED_MS = 500;

export class Gatherer {
  readonly ages: Ages;
  /** What was last said in an event about a failover that cannot go on. */
  saidBlocked: string | undefined;
  readonly #options: GatherOptions;
  readonly #reports: Reports;
  readonly #handOver: Reports;

  constructor(options: GatherOptions) {
    this.#options = options;
    this.ages = new Ages(options.clock.now());
    this.#reports = new Reports(options);
    this.#handOver = new Reports(options);
  }

  async look(): Promise<Facts> {
    const { readView, clock, watch, silentMs } = this.#options;
    const view = await readView();
    const now = clock.now();
    if (this.ages.note(view, now)) this.saidBlocked = undefined;
    watch.flaps.note(view.epochs, now);
    this.#pollReports(view);
    const primary = primaryOf(view);
    const { memory } = watch;
    const facts: Facts = {
      self: view.node_id,
      view,
      members: this.#members(view, now),
      leadingMs: now - this.ages.started,
      epochMs: this.ages.epochMs(now),
      handOverMs: this.ages.handOverMs(now),
      probe: watch.fact(primary),
      reports: this.#reports.heard(),
      handedOver: this.#handedOver(view),
      dueInMs: this.#dueInMs(view, now),
      sinceFailoverMs: since(memory.lastInferredFailover, now),
      flaps: watch.flaps.facts(now),
      sinceTransferMs: since(memory.lastTransfer, now),
      gapMs: this.ages.gapMs(now),
      saidBlocked: this.saidBlocked,
      leaseMs: this.#options.leadership.leaseMs(primary),
      leaseOverMs: surelyOverMs(this.#options),
      silentMs,
    };
    const health = healthOf(classifyPrimary(facts));
    this.#probe(view, facts, health !== "fine");
    this.#noteGap(view, health !== "fine", now);
    return { ...facts, probe: watch.fact(primary), gapMs: this.ages.gapMs(now) };
  }

  /** A member may have reported. */
  nudge(): void {
    this.#reports.nudge();
    this.#handOver.nudge();
  }

  stop(): void {
    this.#reports.stop();
    this.#handOver.stop();
  }

  #members(view: ClusterView, now: number): ReadonlyMap<NodeId, MemberFact> {
    const seen = new Map(view.observed.map((row) => [row.node_id, row]));
    return new Map(
      view.members.map(({ node_id }) => [
        node_id,
        {
          store: this.#store(view, node_id, now),
          known: this.#options.leadership.isKnown(node_id),
          beatMs: this.ages.beatMs(node_id, now),
          seen: seen.get(node_id),
          awayMs: this.ages.awayMs(node_id, now),
        },
      ]),
    );
  }

  /**
   * A leader that was deposed for silence has been silent since its last heartbeat, whatever the link,
   * which nobody used meanwhile, still believes.
   */
  #store(view: ClusterView, id: NodeId, now: number): MemberFact["store"] {
    if (id === view.node_id) return { reach: "ok", sinceMs: 0 };
    const { leadership, watch, silentMs } = this.#options;
    const link = leadership.reach(id);
    const quiet = watch.silentMs(id) ?? 0;
    const stale = now - this.ages.started < LINK_TRIED_MS && quiet >= silentMs;
    if (link.reach === "ok" && !stale) {
      if (quiet > 0) watch.leaderIsHeard();
      return link;
    }
    if (link.reach === "refused") return link;
    return quiet > link.sinceMs || link.reach === "ok" ? { reach: "silent", sinceMs: quiet } : link;
  }

  /** Ready when needed: probing goes on while the primary's store or worker is not heard. */
  #probe(view: ClusterView, facts: Facts, unwell: boolean): void {
    const target = primaryTarget(view);
    if (target === undefined) return;
    const primary = facts.members.get(target.id);
    const heard =
      primary?.store.reach === "ok" && (primary.beatMs ?? facts.leadingMs) < BEAT_EXPECTED_MS;
    if (!heard || (unwell && target.id !== view.node_id)) this.#options.watch.suspect(target);
  }

  /** During a planned hand-over writes go on until the primary closes its gate. */
  #noteGap(view: ClusterView, unwell: boolean, now: number): void {
    const epoch = newest(view);
    const seen = view.observed.find((row) => row.node_id === primaryOf(view));
    const gateClosed = seen?.epoch === epoch?.epoch && seen?.gate_open === false;
    const draining = epoch?.handover_to !== null && gateClosed;
    this.ages.noteGap(epoch?.state === "serving" && !draining && !unwell, now);
  }

  #pollReports(view: ClusterView): void {
    const [epoch, before] = view.epochs;
    const ids = view.members.map((member) => member.node_id);
    if (epoch?.state === "opened") {
      const wanted = epoch.epoch;
      this.#reports.ask(wanted, ids, (r) => r.lsn !== undefined && r.pledge >= wanted);
    } else {
      this.#reports.stop();
    }
    const handsOver = epoch?.state === "serving" && epoch.handover_to !== null;
    const handed = epoch?.state === "opened" && epoch.cause === "switchover" ? before : undefined;
    const from = handsOver ? epoch : handed;
    if (from?.node_id == null) this.#handOver.stop();
    else this.#handOver.ask(from.epoch, [from.node_id], ended);
  }

  #handedOver(view: ClusterView): Facts["handedOver"] {
    const [first] = this.#handOver.heard().values();
    return view.epochs[0] !== undefined && first !== undefined && ended(first) ? first : undefined;
  }

  #dueInMs(view: ClusterView, now: number): ReadonlyMap<bigint, number> {
    const wall = this.#options.wall();
    return new Map(
      view.requests.map(({ request_id, args }) => {
        const scheduled = args.not_before === null ? 0 : Date.parse(args.not_before) - wall;
        const delayed = args.delay_ms - this.ages.requestMs(request_id, now);
        return [request_id, Math.max(scheduled, delayed)];
      }),
    );
  }
}

/** The hand-over has an end: a clean stop, or a problem. */
function ended(report: ReportFact): boolean {
  return report.shutdownLsn !== undefined || report.problem !== undefined;
}

function since(then: number | undefined, now: number): number | undefined {
  return then === undefined ? undefined : now - then;
}
