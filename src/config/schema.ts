/** One node's configuration: every key, its default and its unit, in one place. */
import { z } from "zod";
import { LONGEST_LEASE_MS } from "../core/lease.ts";
import { TLS_MODES, type TlsMode } from "./tls.ts";

/** Every leaf says what it expects: that sentence is the error's third part. */
const text = (expected: string) => z.string(expected).min(1, expected);
const whole = (from: number, to: number, expected: string) =>
  z.int(expected).min(from, expected).max(to, expected);

const host = text("a host name or address").max(255, "a host name or address");
const port = whole(1, 65535, "a port, 1 to 65535");
const nodeId = whole(1, 1000, "a whole number, 1 to 1000");
const NAME = "1 to 63 of A-Z a-z 0-9 _ . -";
const name = z.string(NAME).regex(/^[A-Za-z0-9_.-]{1,63}$/, NAME);
const path = text("a path");
const ms = whole(1, 3_600_000, "milliseconds, 1 to 3600000");
const listen = text("addresses to bind, comma separated");
const hba = z.array(text("a line of pg_hba.conf"), "a list of pg_hba.conf lines");
const SETTING = "a string, a number, true or false";
const setting = z.union([z.string(), z.number(), z.boolean()], SETTING);
const section = "a section of keys";

/** A member as every initial member's file names it. */
const Peer = z.strictObject(
  {
    id: nodeId,
    name,
    /** Where the peer's control store listens. */
    host,
    port,
    /** Where its data server listens; left out for a witness. */
    data_host: host.optional(),
    data_port: port.optional(),
  },
  "a section with id, name, host, port, data_port",
);

/** Milliseconds, on monotonic clocks. `lan` suits one network; `wan` changes timing only. */
export const TIMING_PRESETS = {
  lan: { heartbeat_ms: 100, election_ms: 1000, probe_ms: 200, silent_ms: 1000, lease_ms: 3000 },
  wan: { heartbeat_ms: 300, election_ms: 3000, probe_ms: 500, silent_ms: 3000, lease_ms: 9000 },
} as const;

const Timing = z.strictObject(
  {
    preset: z.enum(["lan", "wan"], "lan or wan").default("lan"),
    /** Between two heartbeats of a leader. */
    heartbeat_ms: ms.optional(),
    /** An election timeout is random in [election_ms, 1.5 × election_ms). */
    election_ms: ms.optional(),
    /** Between two probes of the own data server. */
    probe_ms: ms.optional(),
    /** A server that has answered nothing for this long is frozen. */
    silent_ms: ms.optional(),
    /** A primary that no majority confirmed for this long is fenced; the same on all members. */
    lease_ms: whole(1, LONGEST_LEASE_MS, `milliseconds, 1 to ${LONGEST_LEASE_MS}`).optional(),
  },
  section,
);

export const ConfigFile = z.strictObject({
  /** The cluster's name; with the initial members it determines the cluster id. */
  cluster: name,
  node: z.strictObject({ id: nodeId, name }, "a section with id and name"),
  /** Left out for a witness. */
  data: z
    .strictObject(
      {
        dir: path,
        /** Where clients and other members reach it. */
        host: host.default("127.0.0.1"),
        port,
        /** Addresses to bind; default: `host`. */
        listen: listen.optional(),
        /** Lines for postgresql.conf, below ours: name to value. */
        settings: z.record(z.string(), setting, "name: value lines").default({}),
        /** Logical decoding, by slots that survive a failover. */
        logical: z.boolean("true or false").default(false),
        /** Lines of pg_hba.conf for clients, after ours. */
        hba: hba.default(["host all all 127.0.0.1/32 scram-sha-256"]),
      },
      section,
    )
    .optional(),
  control: z.strictObject(
    {
      dir: path,
      host: host.default("127.0.0.1"),
      port,
      listen: listen.optional(),
      /** Lines of pg_hba.conf for operators who reach the control store over TCP. */
      hba: hba.default(["host all all 127.0.0.1/32 scram-sha-256"]),
    },
    section,
  ),
  /** All initial members, this node included; the same list in every node's file. A node that joins later has none. */
  peers: z
    .array(Peer, "a list of 1 to 16 members")
    .min(1, "a list of 1 to 16 members")
    .max(16, "a list of 1 to 16 members")
    .optional(),
  /** A folder with PostgreSQL's programs, or `embedded`; default: found. */
  bin_dir: path.optional(),
  /** The OS user that owns the servers when started as root. */
  run_as: text("the name of an OS user").default("postgres"),
  /** A file with one secret, the same on all members; node passwords derive from it. */
  peer_password_file: path,
  /** A file with the superuser's password for TCP logins; without it the superuser logs in locally only. */
  superuser_password_file: path.optional(),
  /** TLS between the members, and offered to clients: certificates by which nodes know each other. */
  tls: z
    .strictObject(
      {
        /** Whom to believe: one authority or more, PEM. */
        ca: path,
        /** This node's: CN is its login role, subjectAltName its hosts. Certificates between it and `ca` follow it. */
        cert: path,
        key: path,
        mode: z.enum(TLS_MODES, "offer, use or only").default("only"),
      },
      "a section with ca, cert, key and mode",
    )
    .optional(),
  sync: z
    .strictObject(
      {
        /** What the cluster is founded with; default: quorum, and available for two data members with a witness. */
        mode: z.enum(["quorum", "available", "async"], "quorum, available or async").optional(),
      },
      section,
    )
    .prefault({}),
  /** A new primary serves nobody before an old one that may still answer reads is surely fenced. */
  strict_reads: z.boolean("true or false").default(false),
  /**
   * The deadman's last resort: a device that resets the machine when nobody pets it. `auto`: /dev/watchdog where there
   * is one that may be opened; `off`: none.
   */
  watchdog: z
    .union([z.literal(["auto", "off"]), path], "auto, off or the path of a watchdog device")
    .default("auto"),
  timing: Timing.prefault({}),
  /** What is kept of the Raft log behind what is applied, for members that lag; whoever needs more gets a snapshot. */
  raft: z
    .strictObject(
      {
        max_log_entries: whole(8, 1_000_000, "entries, 8 to 1000000").default(10_000),
        max_log_bytes: whole(65_536, 2 ** 40, "bytes, 65536 to 2^40").default(64 * 1024 * 1024),
      },
      section,
    )
    .prefault({}),
  log_level: z
    .enum(["debug", "info", "warn", "error"], "debug, info, warn or error")
    .default("info"),
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
  /** What identity.json says; before `init`, uuid v5 of the cluster's name and its initial members. */
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
    readonly logical: boolean;
    readonly hba: readonly string[];
  };
  readonly control: {
    readonly dir: string;
    readonly host: string;
    readonly port: number;
    readonly listen: string;
    readonly hba: readonly string[];
  };
  /** The initial members: what a cluster is founded with. Who is a member now, the log says. */
  readonly peers: readonly PeerConfig[];
  readonly binDir?: string;
  readonly runAs: string;
  readonly peerSecret: string;
  readonly superuserPassword?: string;
  readonly tls?: {
    readonly ca: string;
    readonly cert: string;
    readonly key: string;
    readonly mode: TlsMode;
  };
  /** What the cluster is founded with; absent where the file says nothing and founds nothing. */
  readonly syncMode?: "quorum" | "available" | "async";
  readonly timing: {
    readonly heartbeatMs: number;
    readonly electionMs: number;
    readonly probeMs: number;
    readonly silentMs: number;
    readonly leaseMs: number;
  };
  /** What is kept of the log. */
  readonly raft: { readonly maxLogEntries: number; readonly maxLogBytes: number };
  /** `auto`, `off`, or a device. */
  readonly watchdog: string;
  readonly strictReads: boolean;
  readonly logLevel: "debug" | "info" | "warn" | "error";
}
