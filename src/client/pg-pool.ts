/**
 * `pg-replica/pool`: the class `Pool` of pg, its connections to whoever is primary. For code written against pg, ORMs
 * included. A statement that fails is the caller's, as with pg: only what was never sent goes elsewhere.
 */
import type { ConnectionOptions } from "node:tls";
import pg from "pg";
import type { TlsConfig } from "../replication/tls.ts";
import type { Lease } from "./node.ts";
import type { PoolOptions } from "./options.ts";
import { createPool, type Pool as Followed } from "./pool.ts";
import { parseUri } from "./uri.ts";

/** Options of ours, or those of pg that say the same; with both, ours count. */
export interface PgPoolOptions extends Partial<PoolOptions> {
  /** As libpq reads it: several hosts, `target_session_attrs`. */
  readonly connectionString?: string;
  /** One host, or several with commas between. */
  readonly host?: string;
  /** As `poolSize`: per node. */
  readonly max?: number;
  readonly idleTimeoutMillis?: number;
  /** As `acquireTimeoutMs`. */
  readonly connectionTimeoutMillis?: number;
  readonly maxLifetimeSeconds?: number;
  readonly statement_timeout?: number;
  readonly application_name?: string;
  /** `true`: checked against the runtime's root store, with the host's name. */
  readonly ssl?:
    | boolean
    | Pick<
        ConnectionOptions,
        "rejectUnauthorized" | "ca" | "cert" | "key" | "passphrase" | "servername"
      >;
}

type Connected = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  done: (release?: Error | boolean) => void,
) => void;

export class Pool extends pg.Pool {
  readonly #followed: Followed;

  constructor(options: PgPoolOptions | string = {}) {
    super();
    this.#followed = createPool(
      ours(typeof options === "string" ? { connectionString: options } : options),
    );
    this.#followed.onLink = (event, link, error) => {
      // Without a listener pg ends the process; here the connection was replaced already.
      if (event !== "error") this.emit(event, link as unknown as pg.PoolClient);
      else if (this.listenerCount("error") > 0)
        this.emit(event, error as Error, link as unknown as pg.PoolClient);
    };
    const status = () => this.#followed.status();
    const counts = {
      totalCount: () => status().size,
      idleCount: () => status().available,
      waitingCount: () => status().waiting,
      expiredCount: () => 0,
    };
    for (const [name, get] of Object.entries(counts)) Object.defineProperty(this, name, { get });
  }

  /** The pool beneath: retries, fast reads, topology, `onPrimary`. */
  get followed(): Followed {
    return this.#followed;
  }

  override connect(): Promise<pg.PoolClient>;
  override connect(callback: Connected): void;
  override connect(callback?: Connected): unknown {
    const connecting = this.#followed.lease().then((lease) => this.#handOut(lease));
    if (callback === undefined) return connecting;
    connecting.then(
      (client) => callback(undefined, client, client.release),
      (error: Error) => callback(error, undefined, () => undefined),
    );
    return undefined;
  }

  #handOut(lease: Lease): pg.PoolClient {
    const client = lease.link as unknown as pg.PoolClient;
    let held = true;
    client.release = (error) => {
      if (!held)
        throw new Error("Release called on client which has already been released to the pool.");
      held = false;
      lease.release(error ? "destroy" : "keep");
      this.emit("release", error as Error, client);
    };
    this.emit("acquire", client);
    return client;
  }

  override end(): Promise<void>;
  override end(callback: () => void): void;
  override end(callback?: () => void): unknown {
    Object.assign(this, { ending: true });
    const ended = this.#followed.end().finally(() => {
      Object.assign(this, { ended: true });
    });
    if (callback === undefined) return ended;
    ended.then(callback, callback);
    return undefined;
  }
}

/** What pg calls otherwise, in our words. */
function ours(given: PgPoolOptions): PoolOptions {
  const {
    connectionString,
    host,
    max,
    idleTimeoutMillis,
    connectionTimeoutMillis,
    maxLifetimeSeconds,
    statement_timeout,
    application_name,
    ssl,
    ...rest
  } = given;
  const translated = {
    hosts: host?.split(","),
    poolSize: max,
    idleTimeoutMs: idleTimeoutMillis,
    acquireTimeoutMs: connectionTimeoutMillis || undefined,
    maxLifetimeMs:
      maxLifetimeSeconds === undefined ? undefined : maxLifetimeSeconds * 1000 || undefined,
    statementTimeoutMs: statement_timeout || undefined,
    applicationName: application_name,
    tls: ssl === undefined ? undefined : tlsOf(ssl),
  };
  const said = Object.fromEntries(
    Object.entries(translated).filter(([, value]) => value !== undefined),
  );
  const uri = connectionString === undefined ? {} : parseUri(connectionString);
  return { ...uri, ...said, ...rest } as PoolOptions;
}

function tlsOf(ssl: NonNullable<PgPoolOptions["ssl"]>): TlsConfig {
  if (ssl === false) return { mode: "disable" };
  if (ssl === true) return { mode: "verify-full" };
  const text = (value: unknown) => (value === undefined ? undefined : String(value));
  return {
    mode: ssl.rejectUnauthorized === false ? "require" : "verify-full",
    // `require` with a ca would check it, as libpq does; pg does not.
    ca: ssl.rejectUnauthorized === false ? undefined : text(ssl.ca),
    cert: text(ssl.cert),
    key: text(ssl.key),
    passphrase: ssl.passphrase,
    serverName: ssl.servername,
  };
}

export default Pool;
