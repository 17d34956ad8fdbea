/**
 * Whether transactions on lists were isolated as their level promises: Elle's list-append (Kingsbury and Alvaro,
 * "Elle: inferring isolation anomalies from experimental observations", 2020), with the classes of Adya ("Weak
 * consistency", 1999). A list that was read tells the order of all appends before; from the orders follow the edges.
 *
 * Levels may be mixed in one history: an anomaly is one only where the levels of the transactions in it forbid it.
 */
import { cycleAnomalies } from "./cycles.ts";
import { type Counts, graphOf } from "./list-graph.ts";
import { isAppend, isRead, orderAnomalies, ordersOf } from "./list-orders.ts";

export const ISOLATIONS = ["read committed", "repeatable read", "serializable"] as const;
export type Isolation = (typeof ISOLATIONS)[number];

export type Micro =
  | { readonly f: "append"; readonly key: number; readonly value: number }
  /** `value` is what was read; undefined where the transaction did not get so far. */
  | { readonly f: "read"; readonly key: number; readonly value: readonly number[] | undefined };

export interface ListTransaction {
  readonly process: number;
  readonly isolation: Isolation;
  readonly micros: readonly Micro[];
  /** `fail`: it certainly did not happen. `unknown`: COMMIT was sent, and nothing certain heard (H13). */
  readonly outcome: "ok" | "fail" | "unknown";
  /** Its wait for confirmation was cancelled: from then on its primary shows it, and need not keep it (H06). */
  readonly cancelled?: boolean;
  readonly startedAt: number;
  readonly endedAt: number;
}

/** What each list held in the end, read after everything. */
export type FinalLists = ReadonlyMap<number, readonly number[]>;

/**
 * Forbidden at every level but for these: `internal` (where it is about others' appends), `G-single` and `long fork`
 * from repeatable read on, which in PostgreSQL is snapshot isolation; `G2-item` among serializable transactions.
 * `-realtime`: the cycle has an edge from a transaction that was over to one that began later, and wrote. Nothing is
 * promised of when a read-only one on an old primary reads (H31), nor of the order in real time of serializable ones
 * that do not read each other's writes.
 */
export type ListClass =
  | "duplicate"
  | "incompatible order"
  | "invented"
  | "lost append"
  | "internal"
  | "G0"
  | "G1a"
  | "G1b"
  | "G1c"
  | "G-single"
  | "long fork"
  | "G2-item"
  | "G0-realtime"
  | "G1c-realtime"
  | "G-single-realtime";

export interface ListAnomaly {
  readonly class: ListClass;
  readonly what: string;
}

export interface ListVerdict {
  readonly anomalies: readonly ListAnomaly[];
  /** How much there was to contradict. */
  readonly edges: Counts;
}

/** Judge a history; without final lists nobody can tell what was lost. */
export function judgeLists(told: readonly ListTransaction[], final?: FinalLists): ListVerdict {
  const history = final === undefined ? told : withoutCancelled(told, final);
  const orders = ordersOf(history, final);
  const graph = graphOf(history, orders);
  return {
    anomalies: [...orderAnomalies(history, orders, final), ...cycleAnomalies(graph, history)],
    edges: graph.counts,
  };
}

/** What only a cancelled wait showed binds nobody who read it, and wrote nothing that was acknowledged. */
function withoutCancelled(
  history: readonly ListTransaction[],
  final: FinalLists,
): readonly ListTransaction[] {
  const kept = new Set([...final.values()].flat());
  const shown = history
    .filter(({ cancelled }) => cancelled === true)
    .flatMap(({ micros }) => micros);
  const gone = new Set(
    shown.filter(isAppend).flatMap(({ value }) => (kept.has(value) ? [] : [value])),
  );
  if (gone.size === 0) return history;
  return history.map((one) => {
    const bound = one.micros.some(isAppend);
    const saw = one.micros.some(
      (micro) => isRead(micro) && micro.value?.some((at) => gone.has(at)),
    );
    return saw && !bound ? { ...one, outcome: "unknown" as const } : one;
  });
}

/** On one line. */
export function describeTransaction({ process, isolation, outcome, micros }: ListTransaction) {
  const parts = micros.map((one) =>
    one.f === "append"
      ? `append ${one.key} ${one.value}`
      : `read ${one.key} [${one.value?.join(" ") ?? "?"}]`,
  );
  return `p${process} ${isolation}, ${outcome}: ${parts.join(", ")}`;
}
