/** A log that begins later: raft.compact, raft.take_snapshot, and what the last part of a snapshot does. */
import type { Epoch } from "../../../src/core/ids.ts";
import type { Snapshot } from "../../../src/db/raft.ts";
import type { Cluster } from "./cluster.ts";
import { chainHash } from "./entry-hash.ts";
import { type Durable, learnCommit } from "./learn-commit.ts";
import { sqlAssert } from "./sql-error.ts";

/** A call forgets no more. */
const MOST = 2000n;

/** The same when there is nothing to forget. */
export function compacted(durable: Durable, entries: number): Durable {
  const { base, log, state } = durable;
  const last = base.index + BigInt(log.length);
  const through = least(last - BigInt(entries), state.appliedIndex, base.index + MOST);
  if (through <= base.index) return durable;
  const count = Number(through - base.index);
  const gone = log.slice(0, count);
  const hash = chainHash(base.hash, gone);
  const newBase = { index: through, term: gone.at(-1)?.term ?? 0n, hash };
  return { ...durable, base: newBase, log: log.slice(count) };
}

const least = (...values: readonly bigint[]) => values.reduce((a, b) => (a < b ? a : b));

/** A snapshot with all its parts, in the twin's own words. */
export interface Image extends Snapshot {
  readonly rows: readonly string[];
}

export function takeParts(
  { state, base, log, cluster }: Durable,
  id: string,
  parts: number,
): Image {
  const { appliedIndex: index } = state;
  const applied = log.slice(0, Number(index - base.index));
  const text = encode(cluster);
  const size = Math.ceil(text.length / parts);
  const rows = Array.from({ length: parts }, (_, at) => text.slice(at * size, (at + 1) * size));
  const term = applied.at(-1)?.term ?? base.term;
  return { id, index, term, hash: chainHash(base.hash, applied), parts, rows };
}

/** cluster.replace_state and raft.begin_log */
export function installed(
  before: Durable,
  { index, term, hash }: Snapshot,
  text: string,
  handedOver: { keys(): Iterable<Epoch>; delete(epoch: Epoch): unknown },
): Durable {
  const cluster = decode(text);
  const { state, base } = before;
  const own = index === base.index ? base : before.log[Number(index - base.index) - 1];
  const upTo = before.log.filter((entry) => entry.index <= index);
  const holds = own?.term === term && chainHash(base.hash, upTo) === hash;
  sqlAssert(
    holds || state.commitIndex < index,
    `a snapshot contradicts entry ${index}, ${state.commitIndex} is committed`,
  );
  const newest = cluster.epochs.at(-1)?.epoch ?? 0n;
  for (const epoch of [...handedOver.keys()]) {
    const found = cluster.epochs.find((one) => one.epoch === epoch);
    if (found === undefined || found.handover_to === null) handedOver.delete(epoch);
  }
  const after: Durable = {
    base: { index, term, hash },
    log: holds ? before.log.filter((entry) => entry.index > index) : [],
    cluster,
    state: {
      ...state,
      appliedIndex: index,
      commitIndex: state.commitIndex > index ? state.commitIndex : index,
      pledge: newest > state.pledge ? newest : state.pledge,
      alarm: undefined,
    },
  };
  return learnCommit(after, index, handedOver);
}

/** As JSON, with what it does not know: numbers of 64 bits, maps and sets. */
function encode(cluster: Cluster): string {
  return JSON.stringify(cluster, (_, value) => {
    if (typeof value === "bigint") return { bigint: `${value}` };
    if (value instanceof Map) return { map: [...value] };
    if (value instanceof Set) return { set: [...value] };
    return value;
  });
}

function decode(text: string): Cluster {
  return JSON.parse(text, (_, value) => {
    if (typeof value !== "object" || value === null) return value;
    if (typeof value.bigint === "string") return BigInt(value.bigint);
    if (Array.isArray(value.map)) return new Map(value.map);
    if (Array.isArray(value.set)) return new Set(value.set);
    return value;
  });
}
