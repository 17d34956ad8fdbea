/** Turns what was seen into how long it has been so, on the leader's monotonic clock (H32). */
import type { NodeId } from "../core/ids.ts";
import type { ClusterView } from "../db/cluster.ts";

export class Ages {
  readonly started: number;
  #epochKey = "";
  #epochSince: number;
  #handOverSince: number | undefined;
  #gapSince: number | undefined;
  readonly #beats = new Map<NodeId, { beat: bigint; rose: number | undefined }>();
  readonly #away = new Map<NodeId, number>();
  readonly #requests = new Map<bigint, number>();

  constructor(now: number) {
    this.started = now;
    this.#epochSince = now;
  }

  /** Take in a new view; true when the newest epoch, or its state, is another than before. */
  note(view: ClusterView, now: number): boolean {
    for (const { node_id, beat } of view.observed) this.#noteBeat(node_id, beat, now);
    for (const { request_id } of view.requests) {
      if (!this.#requests.has(request_id)) this.#requests.set(request_id, now);
    }
    this.#noteAway(view, now);
    const epoch = view.epochs[0];
    const handsOver = epoch?.state === "serving" && epoch.handover_to !== null;
    this.#handOverSince = handsOver ? (this.#handOverSince ?? now) : undefined;
    const key = `${epoch?.epoch}:${epoch?.state}`;
    if (key === this.#epochKey) return false;
    this.#epochKey = key;
    this.#epochSince = now;
    this.#away.clear();
    return true;
  }

  epochMs(now: number): number {
    return now - this.#epochSince;
  }

  handOverMs(now: number): number {
    return this.#handOverSince === undefined ? 0 : now - this.#handOverSince;
  }

  beatMs(id: NodeId, now: number): number | undefined {
    const rose = this.#beats.get(id)?.rose;
    return rose === undefined ? undefined : now - rose;
  }

  /** Since when the member has not streamed from the primary of this epoch. */
  awayMs(id: NodeId, now: number): number {
    return now - (this.#away.get(id) ?? now);
  }

  requestMs(id: bigint, now: number): number {
    return now - (this.#requests.get(id) ?? now);
  }

  /** Writes are, or are not, possible as far as the leader can tell; since when they are not. */
  noteGap(open: boolean, now: number): void {
    this.#gapSince = open ? undefined : (this.#gapSince ?? now);
  }

  gapMs(now: number): number | undefined {
    return this.#gapSince === undefined ? undefined : now - this.#gapSince;
  }

  /** By the primary's own word; while it says nothing of this epoch nobody is missed. */
  #noteAway(view: ClusterView, now: number): void {
    const [epoch] = view.epochs;
    const primary = view.observed.find((row) => row.node_id === epoch?.node_id);
    const speaks = primary?.role === "primary" && primary.epoch === epoch?.epoch;
    for (const { node_id } of view.members) {
      if (!speaks || primary.attached.includes(node_id)) this.#away.delete(node_id);
      else if (!this.#away.has(node_id)) this.#away.set(node_id, now);
    }
  }

  #noteBeat(id: NodeId, beat: bigint, now: number): void {
    const before = this.#beats.get(id);
    if (before === undefined) this.#beats.set(id, { beat, rose: undefined });
    else if (beat > before.beat) this.#beats.set(id, { beat, rose: now });
  }
}
