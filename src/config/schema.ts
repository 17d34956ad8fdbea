/** One node's configuration: every key, its default and its unit, in one place. */
import { z } from "zod";

const host = z.string().min(1).max(255);
const port = z.int().min(1).max(65535);
const name = z.string().regex(/^[A-Za-z0-9_.-]{1,63}$/, "1 to 63 of A-Z a-z 0-9 _ . -");
const path = z.string().min(1);
const ms = z.int().min(1);

/** A member as every initial member's file names it. */
const Peer = z.strictObject({
  id: z.int().min(1).max(1000),
  name,
  /** Where the peer's control store listens. */
  host,
  port,
  /** Where its data server listens; left out for a witness. */
  data_host: host.optional(),
  data_port: port.optional(),
});

/** Milliseconds, on monotonic clocks. `lan` suits one network; `wan` changes timing only. */
export const TIMING_PRESETS = {
  lan: { heartbeat_ms: 100, election_ms: 1000, probe_ms: 200, silent_ms: 1000 },
  wan: { heartbeat_ms: 300, election_ms: 3000, probe_ms: 500, silent_ms: 3000 },
} as const;

const Timing = z.strictObject({
  preset: z.enum(["lan", "wan"]).default("lan"),
  /** Between two heartbeats of a leader. */
  heartbeat_ms: ms.optional(),
  /** An election timeout is random in [election_ms, 1.5 × election_ms). */
  election_ms: ms.optional(),
  /** Between two probes of the own data server. */
  probe_ms: ms.optional(),
  /** A server that has answered nothing for this long is frozen. */
  silent_ms: ms.optional(),
});

export const ConfigFile = z.strictObject({
  /** The cluster's name; with the initial members it determines the cluster id. */
  cluster: name,
  node: z.strictObject({ id: z.int().min(1).max(1000), name }),
  /** Left out for a witness. */
  data: z
    .strictObject({
      dir: path,
      /** Where clients and other members reach it. */
      host: host.default("127.0.0.1"),
      port,
      /** Addresses to bind; default: `host`. */
      listen: z.string().min(1).optional(),
      /** Lines for postgresql.conf, below ours: name to value. */
      settings: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).default({}),
      /** Lines of pg_hba.conf for clients, after ours. */
      hba: z.array(z.string()).default(["host all all 127.0.0.1/32 scram-sha-256"]),
    })
    .optional(),
  control: z.strictObject({
    dir: path,
    host: host.default("127.0.0.1"),
    port,
    listen: z.string().min(1).optional(),
    /** Lines of pg_hba.conf for operators who reach the control store over TCP. */
    hba: z.array(z.string()).default(["host all all 127.0.0.1/32 scram-sha-256"]),
  }),
  /** All initial members, this node included; the same list in every node's file. */
  peers: z.array(Peer).min(1).max(16),
  /** A folder with PostgreSQL's programs, or `embedded`; default: found. */
  bin_dir: path.optional(),
  /** The OS user that owns the servers when started as root. */
  run_as: z.string().min(1).default("postgres"),
  /** A file with one secret, the same on all members; node passwords derive from it. */
  peer_password_file: path,
  /** A file with the superuser's password for TCP logins; without it the superuser logs in locally only. */
  superuser_password_file: path.optional(),
  sync: z.strictObject({ mode: z.enum(["quorum", "available", "async"]).default("quorum") }).prefault({}),
  timing: Timing.prefault({}),
  log_level: z.enum(["debug", "info", "warn", "error"]).default("info"),
});

export type ConfigFile = z.infer<typeof ConfigFile>;

export interface PeerConfig {
  readonly id: number;
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly dataHost?: string;
  readonly dataPort?: number;
}

/** What the program uses: validated, defaults applied, every path absolute. */
export interface Config {
  readonly cluster: string;
  /** uuid v5 of the cluster's name and its initial members. */
  readonly clusterId: string;
  readonly node: { readonly id: number; readonly name: string };
  /** The folder that holds node.yaml: identity.json, run/, log/, hba/ live in it. */
  readonly dir: string;
  readonly data?: {
    readonly dir: string;
    readonly host: string;
    readonly port: number;
    readonly listen: string;
    readonly settings: Readonly<Record<string, string>>;
    readonly hba: readonly string[];
  };
  readonly control: {
    readonly dir: string;
    readonly host: string;
    readonly port: number;
    readonly listen: string;
    readonly hba: readonly string[];
  };
  readonly peers: readonly PeerConfig[];
  readonly binDir?: string;
  readonly runAs: string;
  readonly peerSecret: string;
  readonly superuserPassword?: string;
  readonly syncMode: "quorum" | "available" | "async";
  readonly timing: {
    readonly heartbeatMs: number;
    readonly electionMs: number;
    readonly probeMs: number;
    readonly silentMs: number;
  };
  readonly logLevel: "debug" | "info" | "warn" | "error";
}
