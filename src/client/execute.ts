/** What a call becomes: a target, a plan, and an attempt that knows how far it came. */
import { parseLsn } from "../core/ids.ts";
import { attempting, type Plan } from "./attempts.ts";
import type { Call } from "./call.ts";
import { ClientError } from "./errors.ts";
import type { Statement } from "./extended.ts";
import { raced } from "./fast.ts";
import type { Lease } from "./node.ts";
import type { Settings } from "./options.ts";
import { encodeAll } from "./params.ts";
import { lsnOf, runStatement, stoppable, WaitCancelled } from "./run.ts";
import type { Result, Session, TypeMaps } from "./session.ts";
import type { QueryOptions, QueryResult, TransactionOptions } from "./surface.ts";
import type { Target, Topology } from "./topology.ts";
import { type Done, transact } from "./transact.ts";
import { typeMaps } from "./types.ts";
import { Usual } from "./usual.ts";

/** A statement as the caller gave it. */
export interface Asked {
  readonly sql: string;
  readonly params: readonly unknown[] | undefined;
  readonly options: QueryOptions;
}

export class Executor {
  readonly #settings: Settings;
  readonly #topology: Topology;
  readonly types: TypeMaps;
  /** Connections that are in use, for `end` to cancel. */
  readonly leases = new Set<Lease>();
  /** What outlives its call: losers of races, listeners. */
  readonly background = new Set<Promise<unknown>>();
  readonly #usual = new Usual();

  constructor(settings: Settings, topology: Topology) {
    this.#settings = settings;
    this.#topology = topology;
    this.types = typeMaps(settings.types);
  }

  /** One statement, in a transaction of its own. */
  async statement<T>(call: Call, asked: Asked): Promise<QueryResult<T>> {
    const { sql, params, options } = asked;
    if (options.idempotencyKey !== undefined) return await this.#once<T>(call, asked);
    const { rowMode = "object", fast = false, retry } = options;
    const array = rowMode === "array";
    const statement = { text: sql, values: encodeAll(params), types: this.types[rowMode], array };
    const target = this.targetOf(options);
    const isRead = fast || target.mode !== "read-write";
    const plan: Plan = {
      target,
      work: isRead ? "read" : "write",
      resolves: retry === true ? "lost" : "none",
      backoff: this.#backoff(retry === false ? 1 : undefined),
    };
    const run = { statement, isRead, wantsLsn: options.lsn === true };
    if (fast) return await this.#fast<T>(call, plan, { ...run, options });
    return await attempting(this.#topology, call, plan, (lease, progress) =>
      this.#holding(lease, async () => {
        if (lease.link.isReadOnly !== isRead) await lease.link.setReadOnly(isRead, call.stop);
        lease.link.check();
        progress.phase = "first";
        return await this.#run<T>(lease, call, run);
      }),
    );
  }

  async #run<T>(
    { link, node }: Lease,
    call: Call,
    run: { readonly statement: Statement; readonly isRead: boolean; readonly wantsLsn: boolean },
  ): Promise<QueryResult<T>> {
    const work = () => runStatement(link, run.statement, "alone");
    const done =
      call.stop === undefined
        ? work()
        : stoppable(link, { call, stop: call.stop, isRead: run.isRead }, work);
    const result = await done.finally(() => {
      if (link.waitCancelled) throw new WaitCancelled("the wait for standbys was cancelled");
    });
    const { rows, rowCount, fields, command } = result as unknown as Result<T>;
    const asked = () => link.droppedAt(call.stop, () => lsnOf(link));
    // It is done: a position that cannot be asked any more makes it no failure.
    const lsn = run.wantsLsn ? await asked().catch(() => undefined) : undefined;
    return { rows, rowCount, fields, command, node: node.name, lsn, resolved: false };
  }

  async #fast<T>(
    call: Call,
    { target, ...plan }: Plan,
    run: {
      readonly statement: Statement;
      readonly wantsLsn: boolean;
      readonly options: QueryOptions;
    },
  ): Promise<QueryResult<T>> {
    const mode = target.mode === "read-write" ? "any" : target.mode;
    const { text } = run.statement;
    const { fastFanout = 2, fastAfterMs = this.#usual.limitMs(text) } = run.options;
    return await raced(this.#topology, {
      call,
      target: { ...target, mode },
      fanout: fastFanout,
      afterMs: fastAfterMs,
      onWon: (tookMs) => this.#usual.learn(text, tookMs),
      plan: { ...plan, work: "read" },
      acquireTimeoutMs: this.#settings.acquireTimeoutMs,
      run: (lease, own) =>
        this.#holding(lease, async () => {
          await lease.link.setReadOnly(true, own.stop);
          return await this.#run<T>(lease, own, { ...run, isRead: true });
        }),
      inBackground: (work) => this.keep(work),
    });
  }

  /** One statement that happens exactly once: it commits together with its key. */
  async #once<T>(call: Call, { sql, params, options }: Asked): Promise<QueryResult<T>> {
    const { rowMode } = options;
    const done = await this.transact(call, options, async (tx) => {
      const result = await tx.queryResult<T>(sql, params, { rowMode });
      return { ...result, node: tx.node, lsn: undefined, resolved: false };
    });
    if (!done.resolved) return done.value;
    const nothing = { rows: [], rowCount: null, fields: [], command: "", lsn: undefined };
    return { ...nothing, node: done.node, resolved: true };
  }

  transact<T>(
    call: Call,
    options: TransactionOptions,
    fn: (tx: Session) => Promise<T>,
  ): Promise<Done<T>> {
    const { readOnly, mode = readOnly ? this.#settings.mode : "read-write" } = options;
    const target = this.targetOf({ ...options, mode });
    return transact(this.#topology, call, {
      target,
      backoff: this.#backoff(options.maxAttempts),
      key: options.idempotencyKey,
      characteristics: options,
      isRead: readOnly ?? mode !== "read-write", // as BEGIN says, else as the session does
      types: this.types,
      holding: (lease, work) => this.#holding(lease, work),
      fn,
    });
  }

  /** A connection for as long as the caller holds it: nothing on it is tried again. */
  async lease(call: Call, target: Target): Promise<Lease> {
    call.next();
    const lease = await this.#topology.acquire(target, call);
    this.leases.add(lease);
    const release = (how?: "keep" | "destroy") => {
      this.leases.delete(lease);
      lease.release(how);
    };
    try {
      await lease.link.setReadOnly(target.mode !== "read-write", call.stop);
    } catch (error) {
      release("destroy");
      call.check();
      throw error;
    }
    return { ...lease, release };
  }

  #backoff(maxAttempts = this.#settings.retry.maxAttempts) {
    return { ...this.#settings.retry, maxAttempts };
  }

  targetOf(options: Pick<QueryOptions, "mode" | "pin" | "minLsn">): Target {
    const { mode = this.#settings.mode, pin, minLsn } = options;
    const name = pin === undefined ? undefined : this.#pinned(pin);
    return { mode, pin: name, minLsn: minLsn === undefined ? undefined : parseLsn(minLsn) };
  }

  #pinned(pin: string): string {
    const fitting = this.#topology.nodes.filter(({ name, at }) => name === pin || at.host === pin);
    const [only] = fitting;
    if (only !== undefined && fitting.length === 1) return only.name;
    const why =
      only === undefined ? "is no node of this pool" : "is several nodes: name the port too";
    throw new ClientError("NO_NODE", `pin: ${JSON.stringify(pin)} ${why}`);
  }

  keep(work: Promise<unknown>): void {
    const kept = work.finally(() => this.background.delete(kept));
    this.background.add(kept);
  }

  async #holding<T>(lease: Lease, work: () => Promise<T>): Promise<T> {
    this.leases.add(lease);
    try {
      return await work();
    } finally {
      this.leases.delete(lease);
    }
  }
}
