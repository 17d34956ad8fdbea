/** The log of an acceptor, which may begin behind entries that were compacted. */
import type { LogIndex, Term } from "../../../src/core/ids.ts";
import type { Entry } from "../../../src/db/raft.ts";
import type { Durable } from "./learn-commit.ts";
import { sqlAssert } from "./sql-error.ts";

/** Undefined when it is compacted, and beyond the last. */
export function entryAt({ base, log }: Durable, index: LogIndex): Entry | undefined {
  return log[Number(index - base.index) - 1];
}

/** raft.term_at: that of the last compacted entry too; undefined before that and beyond the last. */
export function termAt(durable: Durable, index: LogIndex): Term | undefined {
  const { base } = durable;
  return index === base.index ? base.term : entryAt(durable, index)?.term;
}

export function lastIndex({ base, log }: Durable): LogIndex {
  return base.index + BigInt(log.length);
}

/** Our end, or just before the whole of the term that differs. */
export function whereToTry(durable: Durable, prevIndex: LogIndex): LogIndex {
  const at = termAt(durable, prevIndex);
  return durable.log.reduce(
    (max, { index, term }) =>
      index < prevIndex && (at === undefined || term < at) && index > max ? index : max,
    durable.base.index,
  );
}

/** raft.store_entries: what we hold already stays; the first that differs is cut off with all behind it. */
export function stored(durable: Durable, entries: readonly Entry[]): readonly Entry[] {
  const { log, base, state } = durable;
  const first = entries.find(
    ({ index, term }) => index > base.index && termAt(durable, index) !== term,
  );
  if (first === undefined) return log;
  sqlAssert(
    first.index > state.commitIndex,
    `a leader would cut entry ${first.index}, ${state.commitIndex} is committed`,
  );
  const kept = log.slice(0, Number(first.index - base.index) - 1);
  return [...kept, ...entries.filter(({ index }) => index >= first.index)];
}
