/** Opens connections that are kept: keepalive on, every wait limited, a lost connection never an uncaught error. */
import pg from "pg";
import type { TlsFiles } from "../config/tls.ts";
import { sslFor } from "./tls.ts";

export interface ConnectOptions {
  /** A host name or address, or the absolute path of a socket directory. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Default: `postgres`. */
  readonly database?: string;
  readonly password?: string;
  /** Checked as verify-full; without it the connection is in plain text. */
  readonly tls?: TlsFiles | undefined;
  readonly applicationName: string;
  readonly connectLimitMs: number;
  /** Limits each statement, on the server and here (a frozen server ends nothing by itself). */
  readonly statementLimitMs?: number;
  /** Limits each wait for a lock, on the server. */
  readonly lockLimitMs?: number;
  /** The connection broke or was ended by the server: told once; queries under way fail on their own. */
  readonly onLost?: (error: Error) => void;
}

/** Connections that are opened again and again by somebody else: over the private socket only. */
export type LocalOptions = Omit<ConnectOptions, "tls">;

/** What `pg.Client`, `pg.Pool` and pg-listen all take. */
export function connectionConfig(options: LocalOptions): pg.ClientConfig {
  return {
    host: options.host,
    port: options.port,
    user: options.user,
    database: options.database ?? "postgres",
    application_name: options.applicationName,
    connectionTimeoutMillis: options.connectLimitMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 1000,
    ...(options.password === undefined ? {} : { password: options.password }),
    ...(options.lockLimitMs === undefined ? {} : { lock_timeout: options.lockLimitMs }),
    ...(options.statementLimitMs === undefined
      ? {}
      : {
          statement_timeout: options.statementLimitMs,
          query_timeout: options.statementLimitMs,
        }),
  };
}

/**
 * One connection, ready for queries. Rejects within `connectLimitMs` with pg's own error. After a statement ran into
 * its limit end the connection: its answer may still arrive.
 */
export async function connect(options: ConnectOptions): Promise<pg.Client> {
  const ssl = await sslFor(options.host, options.tls);
  const client = new pg.Client({ ...connectionConfig(options), ...(ssl && { ssl }) });
  // Without a handler a reset connection ends the process; pg may tell the same loss twice.
  let lost = false;
  client.on("error", (error) => {
    if (!lost) options.onLost?.(error);
    lost = true;
  });
  try {
    await client.connect();
  } catch (error) {
    // A socket half open would keep the process alive; what it says on closing adds nothing.
    client.end().catch(() => undefined);
    throw error;
  }
  return client;
}

/** A pool with the same habits. It connects when first asked; `max` connections at most. */
export function openPool(options: LocalOptions, max: number): pg.Pool {
  const pool = new pg.Pool({ ...connectionConfig(options), max, idleTimeoutMillis: 0 });
  // An idle connection was lost: the pool has dropped it, and opens another when asked.
  pool.on("error", (error) => options.onLost?.(error));
  return pool;
}
