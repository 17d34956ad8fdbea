/**
 * A leader serves those whose log ends before its own begins: the state as it is now, part by part (Raft §7).
 *
 * One snapshot at a time, shared by all who need one while it is being sent; it lies in the own store, never whole in
 * memory. A part that gets lost is asked for again; nothing changes there before the last one is.
 * The own store is asked for it over a lane like the others': nobody else waits for what takes minutes, what goes wrong
 * is told, and of two questions the later one never overtakes.
 */
import type pg from "pg";
import type { LogIndex, NodeId, Term } from "../core/ids.ts";
import { heartbeat, type InstallReply, installSnapshot, type Sender } from "../db/peer.ts";
import { dropSnapshot, type Snapshot, snapshotPart, takeSnapshot } from "../db/raft.ts";
import type { Log } from "../log/logger.ts";
import { type AcceptorLink, BULK_LIMIT_MS, NO_ANSWER, type NoAnswer } from "./links.ts";

export interface SnapshotsOptions {
  readonly me: Sender;
  readonly term: Term;
  readonly links: ReadonlyMap<NodeId, AcceptorLink>;
  readonly log: Log;
}

/** About so much in one message. */
const PART_BYTES = 1_000_000;
const PART_LIMIT_MS = 60_000;
const ASK_LIMIT_MS = 300;

export class Snapshots {
  readonly #options: SnapshotsOptions;
  #taken: Promise<Snapshot | NoAnswer> | undefined;
  #users = 0;
  readonly #served = new Set<NodeId>();

  constructor(options: SnapshotsOptions) {
    this.#options = options;
  }

  isSendingTo(id: NodeId): boolean {
    return this.#served.has(id);
  }

  /** Its last word: where its log matches ours now, or that the term is over. `signal`: it is followed no more. */
  async send(link: AcceptorLink, signal: AbortSignal): Promise<InstallReply | NoAnswer> {
    const { me, term } = this.#options;
    // Nobody copies the state for one who does not answer.
    const there = await link.call("bulk", ASK_LIMIT_MS, (c) => heartbeat(c, me, term));
    if (there === NO_ANSWER) return NO_ANSWER;
    this.#users += 1;
    this.#served.add(link.id);
    try {
      this.#taken ??= this.#askOwn((c) => takeSnapshot(c, PART_BYTES));
      const taken = await this.#taken;
      return taken === NO_ANSWER ? NO_ANSWER : await this.#sendParts(link, taken, signal);
    } finally {
      this.#users -= 1;
      this.#served.delete(link.id);
      if (this.#users === 0) void this.#forget();
    }
  }

  /** No answer: the follower is tried again, and another snapshot taken. */
  async #askOwn<T>(ask: (client: pg.Client) => Promise<T>): Promise<NonNullable<T> | NoAnswer> {
    const { me, links } = this.#options;
    return (await links.get(me.nodeId)?.call("bulk", BULK_LIMIT_MS, ask)) ?? NO_ANSWER;
  }

  async #forget(): Promise<void> {
    const taking = this.#taken;
    this.#taken = undefined;
    const taken = await taking;
    if (taken === undefined || taken === NO_ANSWER) return;
    // One that cannot be dropped is replaced by the next.
    await this.#askOwn((c) => dropSnapshot(c, taken.id));
  }

  async #sendParts(
    link: AcceptorLink,
    snapshot: Snapshot,
    signal: AbortSignal,
  ): Promise<InstallReply | NoAnswer> {
    const { me, term, log } = this.#options;
    const { id, index, parts } = snapshot;
    log.info(
      { event: "raft.snapshot", term, peer: link.id, index: `${index}`, parts },
      `node ${link.id} needs entries that are compacted: it gets the state at entry ${index}`,
    );
    let part = 1;
    // A part is asked for twice after a crash there; whoever asks more often is left for later.
    for (let sent = 0; sent < 2 * parts && !signal.aborted; sent += 1) {
      const rows = await this.#askOwn((c) => snapshotPart(c, id, part));
      if (rows === NO_ANSWER || signal.aborted) return NO_ANSWER;
      const ask = { ...snapshot, leaderTerm: term, part, rows };
      // The last part installs them all.
      const limitMs = part < parts ? PART_LIMIT_MS : BULK_LIMIT_MS;
      const reply = await link.call("bulk", limitMs, (c) => installSnapshot(c, me, ask));
      if (reply === NO_ANSWER || reply.reason !== "waiting") return reply;
      part = reply.next_part;
    }
    return NO_ANSWER;
  }
}

/** Where a follower's log matches ours after such an answer; undefined when it does not say. */
export function matchOf(reply: InstallReply): LogIndex | undefined {
  return reply.reason === "installed" || reply.reason === "not_ahead"
    ? reply.last_index
    : undefined;
}
