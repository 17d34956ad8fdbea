/** Statements on one connection, one after the other; and a transaction on it, its commit told apart from its doubt. */
import type { Progress } from "./attempts.ts";
import type { Call } from "./call.ts";
import { ClientError, toClientError } from "./errors.ts";
import { limited } from "./link.ts";
import type { Lease } from "./node.ts";
import { claim } from "./outcome.ts";
import { encodeAll } from "./params.ts";
import { faultOf, inDoubt, runStatement, stoppable, WaitCancelled } from "./run.ts";
import type { RowMode, TypeMap } from "./types.ts";
import { verdictOn } from "./verdict.ts";

export type TypeMaps = Readonly<Record<RowMode, TypeMap>>;

export interface Field {
  readonly name: string;
  readonly dataTypeID: number;
}

export interface Result<T> {
  readonly rows: T[];
  readonly rowCount: number | null;
  readonly fields: readonly Field[];
  readonly command: string;
}

export interface RowOptions {
  /** Default `object`. */
  readonly rowMode?: RowMode | undefined;
}

export interface SessionParts {
  readonly lease: Lease;
  readonly call: Call;
  readonly types: TypeMaps;
  readonly progress: Progress;
}

export class Session {
  protected readonly parts: SessionParts;
  protected ended = false;
  /** The first failure that was not the caller's own doing. */
  failure: unknown;
  /** Statements wait for each other: a connection answers one at a time. */
  protected last: Promise<unknown> = Promise.resolve();

  constructor(parts: SessionParts) {
    this.parts = parts;
  }

  /** Where it runs, `host:port`. */
  get node(): string {
    return this.parts.lease.node.name;
  }

  /** Rows of one statement. */
  async query<T = Record<string, unknown>>(
    sql: string,
    params?: readonly unknown[],
    options: RowOptions = {},
  ): Promise<T[]> {
    return (await this.queryResult<T>(sql, params, options)).rows;
  }

  async queryResult<T = Record<string, unknown>>(
    sql: string,
    params?: readonly unknown[],
    { rowMode = "object" }: RowOptions = {},
  ): Promise<Result<T>> {
    const { lease, types, progress } = this.parts;
    const array = rowMode === "array";
    const statement = { text: sql, values: encodeAll(params), types: types[rowMode], array };
    const result = await this.next(async () => {
      const outcome = await runStatement(lease.link, statement, "in a transaction");
      // SET TRANSACTION READ WRITE, for one, and what may follow it then.
      if (progress.work === "read" && outcome.command !== "SELECT") progress.work = "transaction";
      return outcome;
    });
    return result as unknown as Result<T>;
  }

  protected async next<T>(work: () => Promise<T>): Promise<T> {
    if (this.ended) throw new ClientError("TX_LOST", "it has ended: nothing was sent");
    const { call, lease, progress } = this.parts;
    const run = async () => {
      call.check();
      const { stop } = call;
      const answer = await (stop === undefined
        ? work()
        : stoppable(lease.link, { call, stop, isRead: false }, work));
      progress.phase = "later";
      return answer;
    };
    const next = this.last.then(run);
    this.last = next.catch(() => undefined); // its caller is told; the next one only waits
    try {
      return await next;
    } catch (error) {
      this.failure ??= error;
      throw this.named(error);
    }
  }

  /** Its failure is one after which the whole may be run again, or is over because the caller wanted no more. */
  mayRunAgain(): boolean {
    if (this.failure === undefined || this.failure instanceof ClientError) return false;
    const { call, lease, progress } = this.parts;
    const fault = faultOf(this.failure, lease, { call, phase: progress.phase });
    return ["again", "stopped"].includes(verdictOn(fault, "transaction"));
  }

  /** As the caller sees it. */
  protected named(error: unknown): unknown {
    const { call, lease, progress } = this.parts;
    if (error instanceof ClientError) return error;
    const fault = faultOf(error, lease, { call, phase: progress.phase });
    if (verdictOn(fault, "transaction") === "stopped") return call.stop?.reason;
    const at = { node: this.node, attempts: call.attempts };
    if (!fault.lost) return toClientError(error, at);
    return new ClientError("TX_LOST", `the connection to ${this.node} was lost`, {
      cause: error,
      ...at,
    });
  }

  /** No statement is taken any more; resolves when the last one is answered. */
  async finish(): Promise<void> {
    this.ended = true;
    await this.last;
  }
}

export type Isolation = "read committed" | "repeatable read" | "serializable";

export interface Characteristics {
  /** Default: the server's. */
  readonly isolation?: Isolation | undefined;
  readonly readOnly?: boolean | undefined;
  readonly deferrable?: boolean | undefined;
}

const LEVELS: readonly Isolation[] = ["read committed", "repeatable read", "serializable"];

/** `begin` with its characteristics; throws CONFIG on an isolation that is none. */
export function beginText({ isolation, readOnly, deferrable }: Characteristics): string {
  if (isolation !== undefined && !LEVELS.includes(isolation)) {
    const known = LEVELS.join(", ");
    throw new ClientError("CONFIG", `isolation: ${JSON.stringify(isolation)} is none of ${known}`);
  }
  return [
    "begin",
    ...(isolation === undefined ? [] : [`isolation level ${isolation}`]),
    ...(readOnly === undefined ? [] : [readOnly ? "read only" : "read write"]),
    ...(deferrable === true ? ["deferrable"] : []),
  ].join(" ");
}

/** How long after his limit the caller waits for a ROLLBACK. */
const ROLLBACK_GRACE_MS = 80;

export class Transaction extends Session {
  async begin(characteristics: Characteristics): Promise<void> {
    const { call, lease, progress } = this.parts;
    const text = beginText(characteristics);
    await lease.link.droppedAt(call.stop, () => lease.link.query(text));
    progress.phase = "first";
  }

  /** Is the work ours to do, or was it committed by an attempt whose answer was lost? */
  claim(key: string): Promise<"ours" | "done"> {
    return this.next(() => claim(this.parts.lease.link, key));
  }

  /**
   * COMMIT is never cancelled: only our wait for it ends, and that is doubt. Throws WaitCancelled when it was committed
   * here and perhaps nowhere else.
   */
  async commitOnce(): Promise<void> {
    await this.finish();
    const { call, lease, progress } = this.parts;
    if (call.stop?.aborted) await this.rollbackOnce(); // the connection goes on to somebody else
    call.check();
    lease.link.check();
    progress.phase = "commit";
    const { command } = await lease.link.droppedAt(call.stop, () => lease.link.query("commit"));
    if (lease.link.waitCancelled) throw new WaitCancelled("the wait for standbys was cancelled");
    if (command === "COMMIT") return;
    const why = "rolled back: a statement of the transaction had failed";
    throw new ClientError("25P02", why, { node: this.node, cause: this.failure });
  }

  /** A connection that is gone has rolled back already. */
  async rollbackOnce(): Promise<void> {
    await this.finish();
    const { call, lease } = this.parts;
    const { link } = lease;
    if (link.lost) return;
    const limit = { what: "rollback", ms: ROLLBACK_GRACE_MS };
    const rolledBack = () => link.query("rollback");
    // Who wants no more waits for its answer a moment yet, so that the connection need not go.
    const isOver = call.stop?.aborted === true;
    await (isOver ? limited(call.clock, limit, rolledBack) : link.droppedAt(call.stop, rolledBack))
      .then(() => undefined)
      .catch(() => link.destroy());
  }
}

/** A transaction in the caller's hands, from `begin()`: it ends with commit or rollback, or is lost. */
export class OpenTransaction extends Transaction {
  /** TX_LOST: rolled back. IN_DOUBT: nobody knows. */
  async commit(): Promise<void> {
    if (this.ended) throw new ClientError("TX_LOST", "the transaction has ended: nothing was sent");
    const { call, lease, progress } = this.parts;
    try {
      await this.commitOnce();
    } catch (error) {
      const fault = faultOf(error, lease, { call, phase: progress.phase });
      const unknown = fault.waitCancelled || (fault.lost && fault.phase === "commit");
      throw unknown ? inDoubt(error, this.node, call.attempts) : this.named(error);
    } finally {
      this.#giveBack();
    }
  }

  async rollback(): Promise<void> {
    if (this.ended) return;
    await this.rollbackOnce();
    this.#giveBack();
  }

  #giveBack(): void {
    this.parts.lease.release();
    this.parts.call.end();
  }
}
