/** Who serves a call: pure, from what is known of each node. */

export type Mode = "read-write" | "read-only" | "prefer-standby" | "any";

/** What was learnt of a node, last. LSNs are byte positions. */
export interface NodeView {
  /** `host:port`. */
  readonly name: string;
  readonly reachable: boolean;
  /** Recovery and read-only are two things: a primary that takes no writes is no standby. */
  readonly role: "primary" | "standby" | "unknown";
  readonly writable: boolean;
  readonly latencyMs: number | undefined;
  readonly lsn: bigint | undefined;
  readonly lagMs: number | undefined;
  readonly timeline: number | undefined;
  readonly epoch: bigint | undefined;
  readonly inUse: number;
}

export interface Limits {
  readonly maxLagBytes?: number | undefined;
  readonly maxLagMs?: number | undefined;
}

/**
 * The node that takes the writes. Of two that say primary the higher epoch wins, where both are known, else the
 * higher timeline; the other one gets nothing.
 */
export function electPrimary<N extends NodeView>(nodes: readonly N[]): N | undefined {
  const claims = nodes.filter((n) => n.reachable && n.role === "primary" && n.writable);
  return claims.reduce<N | undefined>(
    (best, n) => (best && !isNewer(n, best) ? best : n),
    undefined,
  );
}

function isNewer(a: NodeView, b: NodeView): boolean {
  if (a.epoch !== undefined && b.epoch !== undefined && a.epoch !== b.epoch) {
    return a.epoch > b.epoch;
  }
  return (a.timeline ?? 0) > (b.timeline ?? 0);
}

/** A standby's distance to the primary, in bytes; unknown without a primary. */
export function lagBytesOf(node: NodeView, primary: NodeView | undefined): number | undefined {
  if (node.role !== "standby" || node.lsn === undefined) return undefined;
  if (primary?.lsn === undefined) return undefined;
  return Math.max(0, Number(primary.lsn - node.lsn));
}

export interface Want {
  readonly mode: Mode;
  /** That node only. */
  readonly pin?: string | undefined;
  /** Only who has replayed it. */
  readonly minLsn?: bigint | undefined;
  /** Those failed this very call: last choice. */
  readonly avoid: ReadonlySet<string>;
}

/** Candidates, best first; none: nobody fits now. */
export function route<N extends NodeView>(
  nodes: readonly N[],
  primary: N | undefined,
  want: Want,
  limits: Limits,
): N[] {
  if (want.mode === "read-write" && want.pin === undefined) {
    return primary === undefined ? [] : [primary];
  }
  const up = nodes.filter((n) => n.reachable);
  if (want.pin !== undefined) return up.filter(({ name }) => name === want.pin);
  const found = byMode(up, primary, want, limits);
  return [...found.filter(isNew(want)), ...found.filter((n) => want.avoid.has(n.name))];
}

const isNew =
  ({ avoid }: Want) =>
  (node: NodeView) =>
    !avoid.has(node.name);

function byMode<N extends NodeView>(
  up: readonly N[],
  primary: N | undefined,
  want: Want,
  limits: Limits,
): N[] {
  const fresh = up.filter(
    (n) => n.role === "standby" && withinLag(n, primary, limits) && hasReplayed(n, want.minLsn),
  );
  const standbys = nearestFirst(fresh);
  const ready = primary === undefined ? [] : [primary];
  switch (want.mode) {
    case "read-only":
      return standbys;
    case "prefer-standby":
      return want.minLsn !== undefined && standbys.length === 0 ? [] : [...standbys, ...ready];
    default:
      return nearestFirst([...standbys, ...ready]);
  }
}

function withinLag(node: NodeView, primary: NodeView | undefined, limits: Limits): boolean {
  const bytes = lagBytesOf(node, primary);
  if (limits.maxLagBytes !== undefined && (bytes ?? 0) > limits.maxLagBytes) return false;
  return limits.maxLagMs === undefined || (node.lagMs ?? 0) <= limits.maxLagMs;
}

const hasReplayed = ({ lsn }: NodeView, least: bigint | undefined): boolean =>
  least === undefined || (lsn !== undefined && lsn >= least);

/** Nodes within 20 % or 1 ms of the nearest share, least in use first; the others follow by latency. */
function nearestFirst<N extends NodeView>(nodes: readonly N[]): N[] {
  const latency = (n: N) => n.latencyMs ?? Number.MAX_SAFE_INTEGER;
  const best = Math.min(...nodes.map(latency));
  const isNear = (n: N) => latency(n) <= Math.max(best * 1.2, best + 1);
  const near = nodes
    .filter(isNear)
    .toSorted((a, b) => a.inUse - b.inUse || latency(a) - latency(b));
  const far = nodes.filter((n) => !isNear(n)).toSorted((a, b) => latency(a) - latency(b));
  return [...near, ...far];
}

const ALPHA = 0.3;

/** A moving average that forgets: a single slow answer moves nothing for long. */
export function ewma(before: number | undefined, sample: number): number {
  return before === undefined ? sample : before + ALPHA * (sample - before);
}

/** How long until a node is asked again while a primary is sought: eager first, patient later. */
export function seekDelay(soughtForMs: number): number {
  return Math.min(500, Math.max(50, soughtForMs / 8));
}
