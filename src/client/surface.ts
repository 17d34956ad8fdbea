/** What calls of the pool take and give. */
import type { CallLimits } from "./call.ts";
import type { Mode } from "./routing.ts";
import type { Characteristics, Result } from "./session.ts";
import type { RowMode } from "./types.ts";

export interface QueryOptions extends CallLimits {
  /** Default: the pool's. Every mode but read-write runs in a read-only transaction. */
  readonly mode?: Mode;
  /** That node only, as `host:port` or `host`; never waits longer than acquireTimeoutMs. */
  readonly pin?: string;
  /** A read that waits for no slow node: the next one is asked too, and the first answer wins. */
  readonly fast?: boolean;
  /** How many nodes at most; default 2. */
  readonly fastFanout?: number;
  /** After so long the next is asked; default: what 95 % of this statement's answers take, 1 at least. 0: at once. */
  readonly fastAfterMs?: number;
  /** True: harmless twice, may be run again after a lost answer. False: never tried again. */
  readonly retry?: boolean;
  /** Only nodes that have replayed it; from `queryResult({ lsn: true })`. */
  readonly minLsn?: string;
  /** A uuid; makes a write happen exactly once, see replica_client.outcome. */
  readonly idempotencyKey?: string;
  readonly rowMode?: RowMode;
  /** `queryResult` only: ask for the WAL position after the statement, for `minLsn`; one more round trip. */
  readonly lsn?: boolean;
}

export interface TransactionOptions extends CallLimits, Characteristics {
  readonly mode?: Mode;
  readonly pin?: string;
  /** Default: the pool's. */
  readonly maxAttempts?: number;
  readonly idempotencyKey?: string;
}

export interface QueryResult<T> extends Result<T> {
  /** Who answered, `host:port`. */
  readonly node: string;
  readonly lsn: string | undefined;
  /** True: an earlier attempt had committed; its rows are gone with its answer. */
  readonly resolved: boolean;
}

export interface NodeStatus {
  readonly node: string;
  readonly maxSize: number;
  /** Connections, those being opened not counted. */
  readonly size: number;
  readonly available: number;
  readonly inUse: number;
  readonly waiting: number;
}

export interface PoolStatus extends Omit<NodeStatus, "node"> {
  readonly nodes: readonly NodeStatus[];
}

export interface NodeInfo {
  readonly node: string;
  readonly role: "primary" | "standby" | "unknown";
  readonly writable: boolean;
  readonly reachable: boolean;
  readonly latencyMs: number | undefined;
  readonly lagBytes: number | undefined;
  readonly epoch: bigint | undefined;
  readonly timeline: number | undefined;
  /** For how long it has been so, milliseconds. */
  readonly sinceMs: number;
  /** Why it is not reachable. */
  readonly error: string | undefined;
}
