/**
 * A leader serves those whose log ends before its own begins: the state as it is now, part by part (Raft §7).
 *
 * One snapshot at a time, shared by all who need one while it is being sent; it lies in the own store, never whole in
 * memory. A part that gets lost is asked for again; nothing changes there before the last one is.
 */
import type { LogIndex, NodeId, Term } from "../core/ids.ts";
import type { Queryable } from "../db/call.ts";
import { heartbeat, type InstallReply, installSnapshot, type Sender } from "../db/peer.ts";
import { dropSnapshot, type Snapshot, snapshotPart, takeSnapshot } from "../db/raft.ts";
import type { Log } from "../log/logger.ts";
import { type AcceptorLink, NO_ANSWER, type NoAnswer } from "./links.ts";

export interface SnapshotsOptions {
  readonly me: Sender;
  readonly term: Term;
  readonly store: Queryable;
  readonly log: Log;
}

/** About so much in one message. */
const PART_BYTES = 1_000_000;
/** The last part installs them all. */
const PART_LIMIT_MS = 60_000;
const ASK_LIMIT_MS = 300;

export class Snapshots {
  readonly #options: SnapshotsOptions;
  #taken: Promise<Snapshot> | undefined;
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
    const { me, term, store, log } = this.#options;
    // Nobody copies the state for one who does not answer.
    const there = await link.call("bulk", ASK_LIMIT_MS, (c) => heartbeat(c, me, term));
    if (there === NO_ANSWER) return NO_ANSWER;
    this.#users += 1;
    this.#served.add(link.id);
    try {
      this.#taken ??= takeSnapshot(store, PART_BYTES);
      return await this.#sendParts(link, await this.#taken, signal);
    } catch (error) {
      // The own store did not answer: the follower is tried again, and another snapshot taken.
      log.debug({ event: "control.gone" }, String(error));
      return NO_ANSWER;
    } finally {
      this.#users -= 1;
      this.#served.delete(link.id);
      if (this.#users === 0) this.#forget();
    }
  }

  #forget(): void {
    const { store, log } = this.#options;
    const taken = this.#taken;
    this.#taken = undefined;
    taken
      ?.then(({ id }) => dropSnapshot(store, id))
      // The next one takes its place.
      .catch((error: unknown) => log.debug({ event: "control.gone" }, String(error)));
  }

  async #sendParts(
    link: AcceptorLink,
    snapshot: Snapshot,
    signal: AbortSignal,
  ): Promise<InstallReply | NoAnswer> {
    const { me, term, store, log } = this.#options;
    const { id, index, parts } = snapshot;
    log.info(
      { event: "raft.snapshot", term, peer: link.id, index: `${index}`, parts },
      `node ${link.id} needs entries that are compacted: it gets the state at entry ${index}`,
    );
    let part = 1;
    // A part is asked for twice after a crash there; whoever asks more often is left for later.
    for (let sent = 0; sent < 2 * parts && !signal.aborted; sent += 1) {
      const rows = await snapshotPart(store, id, part);
      if (rows === undefined || signal.aborted) return NO_ANSWER;
      const ask = { ...snapshot, leaderTerm: term, part, rows };
      const reply = await link.call("bulk", PART_LIMIT_MS, (c) => installSnapshot(c, me, ask));
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
