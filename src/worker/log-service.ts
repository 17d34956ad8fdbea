/**
 * The log as a service for the program that runs this node's worker: what pg_replica.replicate is to SQL callers, told
 * to the leader without a session, a gate or a question to another process.
 */
import { createHash } from "node:crypto";
import type { Queryable } from "../db/call.ts";
import { outcomes } from "../db/raft.ts";
import { NotLeader, UnknownOutcome } from "../raft/raft.ts";
import type { Raft } from "../raft/run.ts";
import { SharedEntries } from "./shared-entries.ts";

/** Where something stands in the log, as pg_replica.entries() tells it; of several items the first. */
export interface Place {
  readonly index: bigint;
  readonly item: number;
}

export interface LogService {
  /** Whether this node leads: nobody else can propose. */
  leads(): boolean;
  /**
   * Commit one text, or several as one entry; its place in the log, once a majority has it on disk and this node has
   * applied it. The same `requestId` commits once, whether it is given here or to pg_replica.replicate (H60). Texts
   * without one that are given in the same moment share an entry, in their order, and with it their fate.
   *
   * Throws `NotLeader`: nothing was proposed; ask the node that leads. `UnknownOutcome`: leadership ended meanwhile,
   * and it may or may not be in the log (H13). `RangeError`: what is given can be no entry, or too many are under way.
   */
  replicate(
    data: string | readonly string[],
    options?: { readonly requestId?: string },
  ): Promise<Place>;
}

/** As in SQL (node.replicate, node.bytes_limit, node.request_key). */
const MOST_BYTES = 1_048_576;
const MOST_ITEMS = 10_000;
const MOST_NAME_BYTES = 255;
/** Whoever does not await them would fill the memory of a process that others rely on. */
const MOST_UNDER_WAY = 4096;

interface Options {
  readonly raft: Pick<Raft, "proposer">;
  readonly store: Queryable;
  readonly nodeId: number;
}

export function logService(options: Options): LogService {
  let underWay = 0;
  const { leader, commit, commitOnce } = entriesOf(options);
  const shared = new SharedEntries(commit);
  const propose = async (data: string | readonly string[], bytes: number, requestId?: string) => {
    if (typeof data === "string" && requestId === undefined) return await shared.add(data, bytes);
    // Behind what was given before.
    shared.flush();
    const items = typeof data === "string" ? [data] : data;
    const commits = requestId === undefined ? commit(items) : commitOnce(items, requestId);
    return { index: await commits, item: 1 };
  };
  return {
    leads: () => options.raft.proposer !== undefined,
    async replicate(data, { requestId } = {}) {
      const bytes = checkItems(typeof data === "string" ? [data] : data);
      if (requestId !== undefined) checkText("requestId", requestId, [1, MOST_NAME_BYTES]);
      leader();
      if (underWay >= MOST_UNDER_WAY) {
        throw new RangeError(`replicate: ${underWay} calls under way: expected them to be awaited`);
      }
      underWay += 1;
      try {
        return await propose(data, bytes, requestId);
      } finally {
        underWay -= 1;
      }
    },
  };
}

/** One entry of the log each: its index, once it is committed and applied here. */
function entriesOf({ raft, store, nodeId }: Options) {
  const leader = () => {
    const { proposer } = raft;
    if (proposer === undefined) throw new NotLeader(`node ${nodeId} does not lead`);
    return proposer;
  };
  const bodyOf = (data: readonly string[], requestId: string | null) => {
    return { data, request_id: requestId, term: null, asked: nodeId };
  };
  const commit = async (data: readonly string[]) => {
    const { index, outcome } = await leader().propose("entry", bodyOf(data, null));
    return indexOf(index, outcome);
  };
  const commitOnce = async (data: readonly string[], requestId: string) => {
    const key = requestKey(requestId);
    const body = bodyOf(data, requestId);
    await leader().take({ client: key, sequence: 1n, kind: "entry", body });
    const [found] = await outcomes(store, key, { first: 1n, last: 1n });
    if (found === undefined) throw new UnknownOutcome(`request ${requestId} left no outcome`);
    return indexOf(found.log_index, found.outcome);
  };
  return { leader, commit, commitOnce };
}

function indexOf(index: bigint, outcome: string): bigint {
  if (outcome !== "ok") throw new UnknownOutcome(`entry ${index}: ${outcome}`);
  return index;
}

/** Their bytes. */
function checkItems(items: readonly string[]): number {
  if (items.length === 0) throw new RangeError("data: no items: expected one or more");
  if (items.length > MOST_ITEMS) {
    throw new RangeError(`data: ${items.length} items: expected at most ${MOST_ITEMS}`);
  }
  const bytes = items.reduce((sum, item) => sum + checkText("data", item, [0, MOST_BYTES]), 0);
  if (bytes > MOST_BYTES) {
    throw new RangeError(`data: ${bytes} bytes: expected at most ${MOST_BYTES} in all items`);
  }
  return bytes;
}

/** Its bytes. What PostgreSQL refuses as text or JSON would stop the log of whoever gets it. */
function checkText(name: string, text: string, [least, most]: readonly [number, number]): number {
  if (!text.isWellFormed() || text.includes("\0")) {
    throw new RangeError(`${name}: a NUL or half a character: expected text that UTF-8 can hold`);
  }
  const bytes = Buffer.byteLength(text);
  if (bytes < least || bytes > most) {
    throw new RangeError(`${name}: ${bytes} bytes: expected ${least} to ${most}`);
  }
  return bytes;
}

/** node.request_key: the same on every node and for ever. */
function requestKey(requestId: string): string {
  const hex = createHash("sha256").update(`replicate ${requestId}`).digest("hex");
  return [8, 12, 16, 20, 32]
    .map((end, place) => hex.slice([0, 8, 12, 16, 20][place], end))
    .join("-");
}
