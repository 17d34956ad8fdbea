/** The pool as its users see it: every call routed, retried where that is safe, stopped where it must be. */
import { type Clock, monotonicClock } from "../clock/clock.ts";
import { unless } from "../clock/unless.ts";
import type { Progress } from "./attempts.ts";
import { Call, type CallLimits, tell } from "./call.ts";
import { ClientError, messageOf, toClientError } from "./errors.ts";
import { Executor } from "./execute.ts";
import { LeaderWatch } from "./leader.ts";
import { type Heard, listenOn } from "./listen.ts";
import type { Lease } from "./node.ts";
import { type PoolOptions, type Settings, settingsOf } from "./options.ts";
import { insertText } from "./params.ts";
import { lagBytesOf, type Mode } from "./routing.ts";
import { OpenTransaction, Session } from "./session.ts";
import type {
  NodeInfo,
  NodeStatus,
  PoolStatus,
  QueryOptions,
  QueryResult,
  TransactionOptions,
} from "./surface.ts";
import { type Primary, Topology } from "./topology.ts";

/** Opens nothing yet; throws CONFIG when an option is wrong. Options, or a connection string as libpq reads it. */
export function createPool(options: PoolOptions | string): Pool {
  return new Pool(settingsOf(options), monotonicClock);
}

export class Pool {
  readonly #settings: Settings;
  readonly #clock: Clock;
  readonly #topology: Topology;
  readonly #executor: Executor;
  readonly #leader: LeaderWatch;
  readonly #ended = new AbortController();
  readonly #active = new Set<symbol>();
  #idle: (() => void) | undefined;

  constructor(settings: Settings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
    this.#topology = new Topology(settings, clock);
    this.#executor = new Executor(settings, this.#topology);
    this.#leader = new LeaderWatch(settings, this.#topology, clock);
  }

  /** Rows of one statement, in a transaction of its own. */
  async query<T = Record<string, unknown>>(
    sql: string,
    params?: readonly unknown[],
    options: QueryOptions = {},
  ): Promise<T[]> {
    const { rows } = await this.#called(options, sql, (call) =>
      this.#executor.statement<T>(call, { sql, params, options }),
    );
    return rows;
  }

  /** The same with its fields, its count, and who answered. */
  queryResult<T = Record<string, unknown>>(
    sql: string,
    params?: readonly unknown[],
    options: QueryOptions = {},
  ): Promise<QueryResult<T>> {
    return this.#called(options, sql, (call) =>
      this.#executor.statement<T>(call, { sql, params, options }),
    );
  }

  /**
   * Runs `fn` in a transaction: committed when it resolves, rolled back when it throws. Run again, whole, when it
   * certainly had no effect: `fn` must do nothing outside the database that cannot be done twice. With an
   * idempotencyKey whose transaction had committed already it gives undefined.
   */
  async transaction<T>(fn: (tx: Session) => Promise<T>, options?: TransactionOptions): Promise<T>;
  async transaction<T>(
    fn: (tx: Session) => Promise<T>,
    options: TransactionOptions = {},
  ): Promise<T | undefined> {
    return await this.#called(options, "transaction", async (call) => {
      const done = await this.#executor.transact(call, options, fn);
      return done.resolved ? undefined : done.value;
    });
  }

  /** A transaction in your hands. Nothing of it is ever tried again. */
  async begin(options: TransactionOptions = {}): Promise<OpenTransaction> {
    this.#refuseEnded();
    const call = this.#newCall(options);
    const { types } = this.#executor;
    try {
      const lease = await this.#lend(call, options);
      const progress: Progress = { phase: "before", work: "transaction" };
      const tx = new OpenTransaction({ lease, call, types, progress });
      await tx.begin(options).catch((error: unknown) => {
        lease.release("destroy");
        call.check();
        throw toClientError(error, { node: lease.node.name });
      });
      return tx;
    } catch (error) {
      call.end();
      throw error;
    }
  }

  /** One row; with `idempotency` a duplicate of `conflictTarget` is no error and gives `[]`, and it may be retried. */
  async insert<T = Record<string, unknown>>(
    table: string,
    row: Readonly<Record<string, unknown>>,
    options: QueryOptions & {
      readonly idempotency?: boolean;
      /** Column or columns of a unique constraint; default `_id`. */
      readonly conflictTarget?: string | readonly string[];
    } = {},
  ): Promise<T[]> {
    const { idempotency = false, conflictTarget = "_id", ...rest } = options;
    const target = idempotency ? [conflictTarget].flat() : [];
    // What the server fills in differs each time, and null is no duplicate of null.
    const isKnown = target.length > 0 && target.every((column) => (row[column] ?? null) !== null);
    if (idempotency && !isKnown) {
      const why = `idempotency needs a value in each column of conflictTarget (${target})`;
      throw new ClientError("CONFIG", `insert: ${why}`);
    }
    const sql = insertText(table, Object.keys(row), target);
    const retry = idempotency ? { retry: true } : {};
    return await this.query<T>(sql, Object.values(row), { ...retry, ...rest });
  }

  /** One connection for `fn`, for what belongs to a session; its loss rejects. It is closed afterwards. */
  async session<T>(
    fn: (session: Session) => Promise<T>,
    options: CallLimits & { readonly mode?: Mode; readonly pin?: string } = {},
  ): Promise<T> {
    return await this.#called(options, "session", async (call) => {
      const lease = await this.#executor.lease(call, this.#executor.targetOf(options));
      const { types } = this.#executor;
      try {
        const progress: Progress = { phase: "first", work: "transaction" };
        const session = new Session({ lease, call, types, progress });
        const value = await unless(call.stop, fn(session));
        await session.finish();
        return value;
      } finally {
        lease.release("destroy"); // what it has set must not meet the next one
      }
    });
  }

  /** A connection of pg itself, for `pg-replica/pool`: nothing on it is tried again. Give it back by `release`. */
  async lease(options: CallLimits & { readonly mode?: Mode } = {}): Promise<Lease> {
    this.#refuseEnded();
    const call = this.#newCall(options);
    try {
      return await this.#lend(call, options);
    } catch (error) {
      throw toClientError(error, {});
    } finally {
      call.end();
    }
  }

  /** A connection in the caller's hands: until he gives it back it is work that runs. */
  async #lend(call: Call, options: Pick<QueryOptions, "mode" | "pin">): Promise<Lease> {
    const over = this.#begun();
    try {
      const lease = await this.#executor.lease(call, this.#executor.targetOf(options));
      const release: Lease["release"] = (how) => {
        lease.release(how);
        over();
      };
      return { ...lease, release };
    } catch (error) {
      over();
      throw error;
    }
  }

  /** One more at work, whom `end` waits for; gives what tells that he is done. */
  #begun(): () => void {
    const work = Symbol("work");
    this.#active.add(work);
    return () => {
      this.#active.delete(work);
      if (this.#active.size === 0) this.#idle?.();
    };
  }

  /** Told of every connection that is opened, closed, or lost while idle. */
  set onLink(told: Topology["onLink"]) {
    this.#topology.onLink = told;
  }

  /** Hear an own channel on the primary, wherever it moves, until `signal` aborts; resolves when it listens. */
  async listen(
    channel: string,
    handler: (heard: Heard) => void,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    this.#refuseEnded();
    this.#start();
    const signal = AbortSignal.any([
      this.#ended.signal,
      ...(options.signal === undefined ? [] : [options.signal]),
    ]);
    await new Promise<void>((resolve) => {
      const parts = { settings: this.#settings, clock: this.#clock, channel, signal, handler };
      const listening = listenOn(this.#topology, { ...parts, onListening: resolve });
      this.#executor.keep(listening.then(resolve));
    });
  }

  /** Told of each new primary once, in rising order of epochs, first of the one there is; returns how to stop it. */
  onPrimary(handler: (primary: Primary) => void): () => void {
    this.#refuseEnded();
    let newest: bigint | undefined;
    const told = (primary: Primary) => {
      if (newest !== undefined && primary.epoch <= newest) return;
      newest = primary.epoch;
      handler(primary);
    };
    this.#topology.subscribe(told);
    this.#start();
    return () => this.#topology.unsubscribe(told);
  }

  /** Every node, as it was last seen. */
  topology(): NodeInfo[] {
    const { primary, nodes } = this.#topology;
    return nodes.map((node) => ({
      node: node.name,
      role: node.role,
      writable: node === primary,
      reachable: node.reachable,
      latencyMs: node.latencyMs,
      lagBytes: lagBytesOf(node, primary),
      epoch: node.epoch,
      timeline: node.timeline,
      sinceMs: this.#clock.now() - node.since,
      error: node.lastError === undefined ? undefined : messageOf(node.lastError),
    }));
  }

  status(): PoolStatus {
    const nodes = this.#topology.nodes.map((node) => ({
      node: node.name,
      maxSize: this.#settings.poolSize,
      size: node.links.size,
      available: node.idle,
      inUse: node.gate.inUse,
      waiting: node.gate.waiting,
    }));
    const sum = (of: (node: NodeStatus) => number) => nodes.reduce((all, one) => all + of(one), 0);
    return {
      maxSize: sum(({ maxSize }) => maxSize),
      size: sum(({ size }) => size),
      available: sum(({ available }) => available),
      inUse: sum(({ inUse }) => inUse),
      waiting: sum(({ waiting }) => waiting) + this.#topology.waiting,
      nodes,
    };
  }

  /** Somebody serves this mode now. */
  async ready(options: CallLimits & { readonly mode?: Mode } = {}): Promise<void> {
    await this.#called(options, "ready", async (call) => {
      call.next();
      await this.#topology.find(this.#executor.targetOf(options), call);
    });
  }

  /** No new work; what runs may finish for `timeoutMs`, then it is cancelled. Resolves with nothing left open. */
  async end({ timeoutMs = 5000 }: { readonly timeoutMs?: number } = {}): Promise<void> {
    if (this.#ended.signal.aborted)
      throw new ClientError("POOL_ENDED", "the pool was ended before");
    this.#ended.abort(null);
    if (this.#active.size > 0) {
      const idle = new AbortController();
      this.#idle = () => idle.abort(null);
      await this.#clock.sleep(timeoutMs, idle.signal);
    }
    const { leases, background } = this.#executor;
    await Promise.all(
      [...leases].map(({ link }) => link.cancelRunning().catch(() => link.destroy())),
    );
    await this.#leader.end();
    await this.#topology.end();
    await Promise.allSettled(background);
  }

  #refuseEnded(): void {
    if (this.#ended.signal.aborted) throw new ClientError("POOL_ENDED", "the pool was ended");
  }

  #start(): void {
    this.#topology.start();
    this.#leader.start();
  }

  #newCall(limits: CallLimits): Call {
    this.#start();
    return new Call(this.#clock, this.#settings.acquireTimeoutMs, limits);
  }

  async #called<T>(limits: CallLimits, sql: string, work: (call: Call) => Promise<T>): Promise<T> {
    this.#refuseEnded();
    const call = this.#newCall(limits);
    const over = this.#begun();
    try {
      call.check();
      const value = await work(call);
      this.#log(call, sql, { value });
      return value;
    } catch (error) {
      this.#log(call, sql, { error });
      throw error;
    } finally {
      call.end();
      over();
    }
  }

  #log(call: Call, sql: string, came: { readonly value?: unknown; readonly error?: unknown }) {
    const { logger } = this.#settings;
    if (logger === undefined) return;
    const { node, rowCount } = (came.value ?? came.error ?? {}) as Partial<QueryResult<unknown>>;
    // Never its message: the server's may quote a value, as the caller's own may.
    const code = came.error instanceof ClientError ? came.error.code : "thrown by the caller";
    const failed = came.error === undefined ? {} : { error: code };
    const counted = typeof rowCount === "number" ? { rowCount } : {};
    const durationMs = call.clock.now() - call.startedAt;
    tell(logger, { sql, node, durationMs, attempts: call.attempts, ...counted, ...failed });
  }
}
