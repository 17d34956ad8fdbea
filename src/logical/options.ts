/** Options of a change stream: what may be given, its defaults, and what is refused before anything is dialled. */
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
import type { AuthMethod, ChannelBinding } from "../replication/login.ts";
import type { TlsConfig } from "../replication/tls.ts";
import { ReplicationError } from "./errors.ts";
import { Lsn } from "./lsn.ts";
import type { TypeParsers } from "./tuple.ts";

/** Durations in milliseconds, sizes in bytes. */
export interface ReplicationConfig {
  /** Default 127.0.0.1; a socket directory when it begins with a slash. */
  readonly host?: string;
  /** Default 5432. */
  readonly port?: number;
  /** Instead of host: the cluster's nodes; the one that fits `target` is used. */
  readonly hosts?: readonly (string | { readonly host: string; readonly port?: number })[];
  /** Default `primary`; decoding on a standby needs PostgreSQL 16. */
  readonly target?: "primary" | "standby" | "any";
  /** Default postgres. */
  readonly user?: string;
  /** A function is asked at every connect. */
  readonly password?: string | (() => Promise<string>);
  /** Default postgres. */
  readonly database?: string;
  /** Default `{ mode: 'disable' }`. */
  readonly tls?: TlsConfig;
  /** An existing logical slot of pgoutput. */
  readonly slot: string;
  readonly publications?: readonly string[];
  /** Short for one publication. */
  readonly publication?: string;
  /** Default 0/0: the slot's confirmed_flush_lsn. */
  readonly startLsn?: Lsn;
  /** PostgreSQL silently moves a start before confirmed_flush_lsn forward; default `error`: we compare first. */
  readonly onForwarded?: "error" | "warn";
  /** The timeline on which `startLsn` was reached: a server whose history does not hold it is refused. */
  readonly startTimeline?: number;
  /**
   * Default `hold`: the end of a transaction is yielded once as many standbys have flushed it as the server's
   * synchronous_standby_names asks for, so that no failover undoes it; the role needs pg_monitor where that names any.
   */
  readonly unconfirmed?: "hold" | "deliver";
  /** Deliver every transaction up to here whole, then end. */
  readonly stopAtLsn?: Lsn;
  /** Default 10000; must be below half of the server's wal_sender_timeout, else a warning. */
  readonly statusIntervalMs?: number;
  /** Longest wait without a status update; default 10000. */
  readonly idleWakeupIntervalMs?: number;
  /** Events kept between socket and consumer before reading is held back; default 8192. */
  readonly bufferEvents?: number;
  /** The same in bytes; default 64 MB. */
  readonly bufferBytes?: number;
  /** Default `rows`; `raw` yields undecoded WAL data. */
  readonly decode?: "rows" | "raw";
  /** Of pgoutput; default `auto`: the lowest that the options need. */
  readonly protocolVersion?: 1 | 2 | 3 | 4 | "auto";
  /** Large transactions before their commit; default `off`; `parallel` needs PostgreSQL 16. */
  readonly streaming?: "off" | "on" | "parallel";
  readonly twoPhase?: boolean;
  /** `pg_logical_emit_message`. */
  readonly messages?: boolean;
  readonly binary?: boolean;
  /** `none`: only changes without an origin. PostgreSQL 16. */
  readonly origin?: "any" | "none";
  /** Count keepalive positions as applied while everything delivered is acknowledged. */
  readonly advanceWhenIdle?: boolean;
  /** Default false; `true` is `{ maxAttempts: 10, baseDelayMs: 200, maxDelayMs: 5000 }`. */
  readonly reconnect?: boolean | ReconnectOptions;
  /** From asking for the password to the begin of the stream, for one host; default 10000. */
  readonly connectTimeoutMs?: number;
  /** Default 1 GB. */
  readonly maxMessageBytes?: number;
  /** Default pg-replica. */
  readonly applicationName?: string;
  /** Default `prefer`. */
  readonly channelBinding?: ChannelBinding;
  /** Default: any but a clear text password without TLS. */
  readonly requireAuth?: readonly AuthMethod[];
  /** OID → what to make of a value; default: strings. */
  readonly types?: TypeParsers;
  /** Something an operator should know; default: `process.emitWarning`. */
  readonly onWarning?: (message: string) => void;
}

export interface ReconnectOptions {
  readonly maxAttempts: number;
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
}

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** The same with every default in its place. */
export type Settings = Required<
  Omit<
    ReplicationConfig,
    | "host"
    | "port"
    | "hosts"
    | "publication"
    | "reconnect"
    | "password"
    | "stopAtLsn"
    | "startTimeline"
    | "requireAuth"
  >
> & {
  readonly hosts: readonly HostPort[];
  readonly reconnect: ReconnectOptions | undefined;
  readonly password: (() => Promise<string>) | undefined;
  readonly stopAtLsn: Lsn | undefined;
  readonly startTimeline: number | undefined;
  readonly requireAuth: readonly AuthMethod[] | undefined;
};

const RECONNECT = { maxAttempts: 10, baseDelayMs: 200, maxDelayMs: 5000 };
const lsn = z.bigint().min(0n).max(0xffff_ffff_ffff_ffffn);

const CONFIG = z.strictObject({
  host: name.optional(),
  port: port.optional(),
  hosts: z
    .array(z.union([name, z.strictObject({ host: name, port: port.optional() })]))
    .min(1)
    .optional(),
  target: z.enum(["primary", "standby", "any"]).default("primary"),
  user: name.default("postgres"),
  password: z.union([z.string(), callback]).optional(),
  database: name.default("postgres"),
  tls: Tls.default({ mode: "disable" }),
  slot: name,
  publications: z.array(name).min(1).optional(),
  publication: name.optional(),
  startLsn: lsn.default(0n),
  startTimeline: z.int().min(1).optional(),
  unconfirmed: z.enum(["hold", "deliver"]).default("hold"),
  onForwarded: z.enum(["error", "warn"]).default("error"),
  stopAtLsn: lsn.optional(),
  statusIntervalMs: ms.default(10_000),
  idleWakeupIntervalMs: ms.default(10_000),
  bufferEvents: count.default(8192),
  bufferBytes: count.default(67_108_864),
  decode: z.enum(["rows", "raw"]).default("rows"),
  protocolVersion: z.union([z.literal([1, 2, 3, 4]), z.literal("auto")]).default("auto"),
  streaming: z.enum(["off", "on", "parallel"]).default("off"),
  twoPhase: z.boolean().default(false),
  messages: z.boolean().default(false),
  binary: z.boolean().default(false),
  origin: z.enum(["any", "none"]).default("any"),
  advanceWhenIdle: z.boolean().default(false),
  reconnect: z
    .union([z.boolean(), z.strictObject({ maxAttempts: count, baseDelayMs: ms, maxDelayMs: ms })])
    .default(false),
  connectTimeoutMs: ms.default(10_000),
  maxMessageBytes: z.int().min(1024).max(1_073_741_824).default(1_073_741_824),
  applicationName: z.string().default("pg-replica"),
  channelBinding: z.enum(["prefer", "require", "disable"]).default("prefer"),
  requireAuth: z
    .array(z.enum(["scram-sha-256", "md5", "password", "cert", "none"]))
    .min(1)
    .optional(),
  types: z.record(z.string(), callback).default({}),
  onWarning: callback.optional(),
});

/** Check and complete. Throws ReplicationError `config`, naming every field that is wrong. */
export function settingsOf(config: ReplicationConfig): Settings {
  const parsed = CONFIG.safeParse(config);
  if (!parsed.success) {
    throw new ReplicationError("config", wrongFields(parsed.error, "config"));
  }
  const { host = "127.0.0.1", port: common = 5432, publication, ...given } = parsed.data;
  if (given.hosts !== undefined && parsed.data.host !== undefined) {
    throw new ReplicationError("config", "host, hosts: give one of them");
  }
  const hosts = (given.hosts ?? [host]).map((entry) =>
    typeof entry === "string" ? hostPort(entry, common) : { port: common, ...entry },
  );
  const reconnect = given.reconnect === true ? RECONNECT : given.reconnect || undefined;
  return {
    ...given,
    startLsn: given.startLsn as Lsn,
    stopAtLsn: given.stopAtLsn as Lsn | undefined,
    startTimeline: given.startTimeline,
    hosts: hosts as readonly HostPort[],
    publications: publicationsOf(given.publications, publication),
    reconnect,
    password: passwordOf(config.password),
    types: (config.types ?? {}) as TypeParsers,
    onWarning: config.onWarning ?? ((message) => process.emitWarning(message)),
    tls: given.tls as TlsConfig,
    requireAuth: given.requireAuth,
  };
}

/** `db1`, `db1:5433`, `[::1]:5433`, or a socket directory. */
function hostPort(text: string, common: number): HostPort {
  const match = /^(?:\[([^\]]+)\]|([^:/][^:]*))(?::(\d{1,5}))?$/.exec(text);
  if (match === null) return { host: text, port: common };
  const given = match[3] === undefined ? common : Number(match[3]);
  if (given < 1 || given > 65535) {
    throw new ReplicationError(
      "config",
      `hosts: port ${given} of ${JSON.stringify(text)} is not within 1 to 65535`,
    );
  }
  return { host: match[1] ?? match[2] ?? text, port: given };
}

function publicationsOf(several: readonly string[] | undefined, one: string | undefined) {
  if (several !== undefined && one !== undefined) {
    throw new ReplicationError("config", "publication, publications: give one of them");
  }
  const publications = several ?? (one === undefined ? [] : [one]);
  if (publications.length > 0) return publications;
  throw new ReplicationError("config", "publications: at least one is needed");
}

/** For logs: the configuration without its secrets. */
export function describe(config: ReplicationConfig): Record<string, unknown> {
  const { password, tls: given, types, onWarning, ...open } = config;
  const hidden = given === undefined ? {} : { tls: hideTls(given) };
  const text = Object.entries(open).map(([key, value]) => [
    key,
    typeof value === "bigint" ? Lsn.format(value) : value,
  ]);
  return {
    ...Object.fromEntries(text),
    ...hidden,
    ...(password === undefined ? {} : { password: "***" }),
    ...(types === undefined ? {} : { types: Object.keys(types).map(Number) }),
  };
}

function hideTls(given: TlsConfig): Record<string, unknown> {
  const short = (value: string) => (value.includes("-----BEGIN") ? "(PEM text)" : value);
  const { key, passphrase, ca, cert, ...open } = given;
  return {
    ...open,
    ...(ca === undefined ? {} : { ca: short(ca) }),
    ...(cert === undefined ? {} : { cert: short(cert) }),
    ...(key === undefined ? {} : { key: key.includes("-----BEGIN") ? "***" : key }),
    ...(passphrase === undefined ? {} : { passphrase: "***" }),
  };
}
