/** Histories told apart by appointments and stamps, never by timeline numbers (H02, H36). Pure. */
import { type Epoch, formatLsn, type Lsn, type NodeId } from "./ids.ts";

/** Where an epoch began, under whom. */
interface Beginning {
  readonly epoch: Epoch;
  readonly node_id: NodeId;
  readonly timeline: number;
  readonly switch_lsn: Lsn;
}

/** One appointment. */
export interface Appointment extends Beginning {
  /** The epoch whose history the appointed node reported: its own goes on from there. 0: from none. */
  readonly from_epoch: Epoch;
}

/** The first row of an epoch, as a data server holds it. */
export interface Stamp extends Beginning {
  readonly stamp_id: string;
}

/** What a node knows of its own WAL and of the cluster's appointments. */
export interface Known {
  readonly history: readonly Appointment[];
  readonly node_id: NodeId;
  /** The newest epoch. */
  readonly epoch: Epoch;
  /** The newest epoch this node followed or led. */
  readonly followed: Epoch;
}

export type Comparison =
  | { readonly chain: "same" }
  | { readonly chain: "forked" | "unproved"; readonly why: string };

/**
 * Whether WAL up to `lsn` can be continued by the newest epoch (H41). WAL past the point where an epoch began belongs
 * to it only if this node followed or led it by then, or holds its stamp.
 */
export function compareHistory(known: Known, lsn: Lsn, stamps: readonly Stamp[]): Comparison {
  const wrong = contradiction(known, stamps);
  if (wrong !== undefined) return { chain: "unproved", why: wrong };
  const own = epochAt(known, lsn, stamps);
  const line = lineage(known.history);
  if (own > 0n && !line.some(({ epoch }) => epoch === own)) {
    const why = `it holds WAL of epoch ${own}, which the newest epoch did not go on from`;
    return { chain: "forked", why };
  }
  const left = line.find(
    ({ epoch, node_id, switch_lsn }) =>
      epoch > own && node_id !== known.node_id && switch_lsn < lsn,
  );
  if (left === undefined) return { chain: "same" };
  const why =
    `it holds WAL up to ${formatLsn(lsn)}, and epoch ${left.epoch} ` +
    `began at ${formatLsn(left.switch_lsn)} without it`;
  return { chain: "forked", why };
}

/** The epoch that WAL up to `lsn` belongs to: the newest it reached and goes beyond the beginning of; 0: none. */
function epochAt(known: Known, lsn: Lsn, stamps: readonly Stamp[]): Epoch {
  const reached = reachedEpoch(known, stamps);
  const of = known.history.findLast(
    ({ epoch, switch_lsn }) => epoch <= reached && switch_lsn < lsn,
  );
  return of?.epoch ?? 0n;
}

/** The newest appointment and those it came from, oldest first. An epoch that nobody went on from is none of them. */
function lineage(history: readonly Appointment[]): readonly Appointment[] {
  const line: Appointment[] = [];
  let next = history.at(-1);
  while (next !== undefined) {
    line.unshift(next);
    const { from_epoch: from, epoch: below } = next;
    next = history.find(({ epoch }) => epoch === from && epoch < below);
  }
  return line;
}

/**
 * Timelines that lead nowhere: appointed, given up before anybody went on from them, and newer than what these data are
 * on. A startup process that has seen the history file of one waits there for ever (H35).
 */
export function deadTimelines(
  known: Known,
  lsn: Lsn,
  stamps: readonly Stamp[],
): ReadonlySet<number> {
  const own = epochAt(known, lsn, stamps);
  const line = new Set(lineage(known.history).map(({ timeline }) => timeline));
  const dead = known.history.filter(({ epoch, timeline }) => epoch > own && !line.has(timeline));
  return new Set(dead.map(({ timeline }) => timeline));
}

/** Why data copied from the primary of `epoch` are not of it, or undefined: its stamp is the newest they hold. */
export function copyDiffers(
  known: Pick<Known, "history" | "epoch">,
  epoch: Epoch,
  stamps: readonly Stamp[],
): string | undefined {
  const newest = stamps.at(-1)?.epoch ?? 0n;
  if (newest !== epoch) {
    return `it was copied in epoch ${epoch}, and its newest stamp is of epoch ${newest}`;
  }
  if (!known.history.some((one) => one.epoch === epoch)) {
    return `it was copied in epoch ${epoch}, which nobody is known to have led`;
  }
  return contradiction(known, stamps);
}

/** What of these stamps this cluster never appointed, or undefined. */
export function contradiction(
  { history, epoch }: Pick<Known, "history" | "epoch">,
  stamps: readonly Stamp[],
): string | undefined {
  for (const stamp of stamps) {
    if (stamp.epoch > epoch) {
      return `it holds the stamp of epoch ${stamp.epoch}, which this cluster has not begun`;
    }
    const appointed = history.find((one) => one.epoch === stamp.epoch);
    if (appointed === undefined) continue;
    if (appointed.node_id !== stamp.node_id || appointed.timeline !== stamp.timeline) {
      return `its stamp of epoch ${stamp.epoch} is not the one that was appointed`;
    }
  }
  return undefined;
}

/** The newest epoch this WAL is known to be of: followed, led, or stamped. */
export function reachedEpoch(
  { followed }: Pick<Known, "followed">,
  stamps: readonly Stamp[],
): Epoch {
  const newest = stamps.at(-1)?.epoch ?? 0n;
  return newest > followed ? newest : followed;
}

/**
 * Timelines this node's WAL may be on: those from before the cluster was founded, and those of epochs it followed, led
 * or holds the stamp of. On any other it was promoted by somebody else than this cluster.
 */
export function ownTimelines(known: Known, stamps: readonly Stamp[]): ReadonlySet<number> {
  const reached = reachedEpoch(known, stamps);
  const appointed = known.history.filter(({ epoch }) => epoch <= reached);
  const founding = known.history.find(({ epoch }) => epoch === 1n)?.timeline ?? 2;
  const before = Array.from({ length: founding - 1 }, (_, index) => index + 1);
  return new Set([...before, ...appointed.map(({ timeline }) => timeline)]);
}

/** Where two chains part: the earlier of the points at which either goes on without the other; undefined: nowhere. */
export function forkOf(ours: readonly Stamp[], theirs: readonly Stamp[]): Lsn | undefined {
  const firstNotIn = (chain: readonly Stamp[], other: readonly Stamp[]) =>
    chain.find((stamp) => !other.some((one) => sameStamp(one, stamp)))?.switch_lsn;
  const points = [firstNotIn(ours, theirs), firstNotIn(theirs, ours)].filter(
    (lsn) => lsn !== undefined,
  );
  return points.reduce<Lsn | undefined>(
    (least, lsn) => (least === undefined || lsn < least ? lsn : least),
    undefined,
  );
}

/** Why two chains are not the same one, or undefined when they are. */
export function chainDiffers(ours: readonly Stamp[], theirs: readonly Stamp[]): string | undefined {
  const epochs = new Set([...ours, ...theirs].map(({ epoch }) => epoch));
  for (const epoch of epochs) {
    const [own] = ours.filter((stamp) => stamp.epoch === epoch);
    const [other] = theirs.filter((stamp) => stamp.epoch === epoch);
    if (own === undefined) return `it lacks the stamp of epoch ${epoch}`;
    if (other === undefined) return `the primary lacks its stamp of epoch ${epoch}`;
    if (!sameStamp(own, other)) return `its stamp of epoch ${epoch} is not the primary's`;
  }
  return undefined;
}

function sameStamp(a: Stamp, b: Stamp): boolean {
  return a.epoch === b.epoch && a.stamp_id === b.stamp_id && a.node_id === b.node_id;
}
