/** Options of a pool: what may be given, its defaults, and what is refused before anything is dialled. */
import { z } from "zod";
import {
  callback,
  count,
  ms,
  name,
  passwordOf,
  port,
  Tls,
  wrongFields,
} from "../config/connection-options.ts";
import type { TlsConfig } from "../replication/tls.ts";
import { ClientError } from "./errors.ts";
import type { Mode } from "./routing.ts";
import type { TypeParsers } from "./types.ts";
import { parseUri } from "./uri.ts";
import type { Backoff } from "./verdict.ts";

/** One finished call, for logs: never a parameter's value. */
export interface LogEntry {
  readonly sql: string;
  readonly node: string | undefined;
  readonly durationMs: number;
  readonly attempts: number;
  readonly rowCount?: number | undefined;
  /** The error's code; its message may quote a value. */
  readonly error?: string | undefined;
}

/** Durations in milliseconds. */
export interface PoolOptions {
  /** `host`, `host:port`, `[v6]:port` or a socket directory (`/dir` or `/dir:port`). */
  readonly hosts: readonly string[];
  /** Where a host names none; default 5432. */
  readonly port?: number;
  readonly user?: string;
  /** A function is asked at every connect. */
  readonly password?: string | (() => Promise<string>);
  /** Default: the user's name. */
  readonly database?: string;
  /** Default `read-write`. */
  readonly mode?: Mode;
  /** Most connections per node, pings not counted; default 10. */
  readonly poolSize?: number;
  /** Most calls that wait for a connection, per node, and for a node at all; default 10000. */
  readonly maxWaiting?: number;
  /** One attempt, dialling to ready; default 2000. */
  readonly connectTimeoutMs?: number;
  /** How long a call may wait for a node and a connection; default 5000. */
  readonly acquireTimeoutMs?: number;
  /** The server's `statement_timeout` on every connection; default: the server's own. */
  readonly statementTimeoutMs?: number;
  /** Default 60000. */
  readonly idleTimeoutMs?: number;
  /** Default 1800000. */
  readonly maxLifetimeMs?: number;
  /** Default `{ mode: 'prefer' }`; a cancel request goes the same way. */
  readonly tls?: TlsConfig;
  /** Default pg-replica. */
  readonly applicationName?: string;
  /** Default `{ maxAttempts: 3, baseDelayMs: 50, maxDelayMs: 1000 }`. */
  readonly retry?: Partial<Backoff>;
  /** Connection strings of pg_replica's control stores, to be told of a new primary; default `false`: probing alone. */
  readonly control?: readonly string[] | false;
  /** Default 1000. */
  readonly pingIntervalMs?: number;
  /** Standbys further behind get no reads; default: no limit. */
  readonly maxLagBytes?: number;
  readonly maxLagMs?: number;
  /** OID → what to make of a value, in every row mode. */
  readonly types?: TypeParsers;
  /** Default true: statements are prepared once per connection, 256 of them, least recently used leaves. */
  readonly preparedStatements?: boolean;
  readonly logger?: (entry: LogEntry) => void;
}

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** The same with every default in its place. */
export interface Settings {
  readonly hosts: readonly HostPort[];
  readonly user: string;
  readonly password: (() => Promise<string>) | undefined;
  readonly database: string;
  readonly mode: Mode;
  readonly poolSize: number;
  readonly maxWaiting: number;
  readonly connectTimeoutMs: number;
  readonly acquireTimeoutMs: number;
  readonly statementTimeoutMs: number | undefined;
  readonly idleTimeoutMs: number;
  readonly maxLifetimeMs: number;
  readonly tls: TlsConfig;
  readonly applicationName: string;
  readonly retry: Backoff;
  readonly control: readonly string[];
  readonly pingIntervalMs: number;
  readonly maxLagBytes: number | undefined;
  readonly maxLagMs: number | undefined;
  readonly types: TypeParsers;
  readonly preparedStatements: boolean;
  readonly logger: ((entry: LogEntry) => void) | undefined;
}

const OPTIONS = z.strictObject({
  hosts: z.array(name).min(1),
  port: port.default(5432),
  user: name,
  password: z.union([z.string(), callback]).optional(),
  database: name.optional(),
  mode: z.enum(["read-write", "read-only", "prefer-standby", "any"]).default("read-write"),
  poolSize: count.default(10),
  maxWaiting: z.int().min(0).default(10_000),
  connectTimeoutMs: ms.default(2000),
  acquireTimeoutMs: ms.default(5000),
  statementTimeoutMs: ms.optional(),
  idleTimeoutMs: ms.default(60_000),
  maxLifetimeMs: ms.default(1_800_000),
  tls: Tls.default({ mode: "prefer" }),
  applicationName: z.string().default("pg-replica"),
  retry: z
    .strictObject({
      maxAttempts: count.default(3),
      baseDelayMs: ms.default(50),
      maxDelayMs: ms.default(1000),
    })
    .prefault({}),
  control: z.union([z.array(name).min(1), z.literal(false)]).default(false),
  pingIntervalMs: ms.default(1000),
  maxLagBytes: z.number().min(0).optional(),
  maxLagMs: z.number().min(0).optional(),
  types: z.record(z.string().regex(/^\d+$/, "an OID"), callback).default({}),
  preparedStatements: z.boolean().default(true),
  logger: callback.optional(),
});

/** Check and complete options, or a connection string. Throws CONFIG naming every field that is wrong. */
export function settingsOf(given: PoolOptions | string): Settings {
  const options = typeof given === "string" ? parseUri(given) : given;
  const parsed = OPTIONS.safeParse(options);
  if (!parsed.success) {
    throw new ClientError("CONFIG", wrongFields(parsed.error, "options"));
  }
  const { hosts, port: common, control, ...rest } = parsed.data;
  return {
    ...rest,
    hosts: distinct(hosts.map((text) => hostPort(text, common))),
    password: passwordOf(options.password),
    database: rest.database ?? rest.user,
    control: control || [],
    statementTimeoutMs: rest.statementTimeoutMs,
    maxLagBytes: rest.maxLagBytes,
    maxLagMs: rest.maxLagMs,
    types: options.types ?? {},
    logger: options.logger,
  };
}

/** How a node is called: as it was given, with its port. */
export const nameOf = ({ host, port: at }: HostPort): string =>
  host.includes(":") ? `[${host}]:${at}` : `${host}:${at}`;

function distinct(hosts: readonly HostPort[]): HostPort[] {
  return [...new Map(hosts.map((one) => [nameOf(one), one])).values()];
}

/** `db1`, `db1:5433`, `[::1]:5433`, `/dir` or `/dir:5433`. */
export function hostPort(text: string, common: number): HostPort {
  const match = /^(?:\[([^\]]+)\]|(\/[^:]*|[^:/][^:]*))(?::(\d{1,5}))?$/.exec(text);
  if (match === null) return { host: text, port: common };
  const at = match[3] === undefined ? common : Number(match[3]);
  if (at >= 1 && at <= 65535) return { host: match[1] ?? match[2] ?? text, port: at };
  throw new ClientError(
    "CONFIG",
    `hosts: port ${at} of ${JSON.stringify(text)} is not within 1 to 65535`,
  );
}
