/** What the agent's parts share: how they reach the world, and what is known of this node's data server. */
import { join } from "node:path";
import type { Clock } from "../clock/clock.ts";
import type { Config } from "../config/schema.ts";
import type { Epoch, Lsn, NodeId } from "../core/ids.ts";
import {
  type KeptConnection,
  keepConnection,
  openDataConnection,
  openForActs,
} from "../db/data-connection.ts";
import type { Attached, Look } from "../db/data-server.ts";
import type { AgentView } from "../db/node.ts";
import type { Log } from "../log/logger.ts";
import type { Binaries } from "../postgres/binaries.ts";
import { deadmanDirOf } from "../postgres/deadman.ts";
import type { Owner } from "../postgres/owner.ts";
import type { RewindOptions } from "../postgres/pg-rewind.ts";
import type { Server } from "../postgres/server.ts";
import type { BaseBackup, BaseBackupOptions } from "../replication/base-backup.ts";
import type { Disk } from "./disk.ts";
import type { LeaseKeeper } from "./lease.ts";
import type { Lookout } from "./lookout.ts";
import type { NodeStore } from "./store.ts";

/** Every file and folder the agent touches, absolute. */
export interface Paths {
  readonly dataDir: string;
  /** A copy under way; becomes `dataDir` when complete. */
  readonly newDir: string;
  readonly oldDir: string;
  /** While it exists `newDir` and `oldDir` are ours. */
  readonly copying: string;
  /** While it exists `dataDir` is never started (H04). */
  readonly marker: string;
  /** While it exists `dataDir` is whole, and not proved to be of the primary's history (H39). */
  readonly joining: string;
  /** Where this node's logical slots come from, and since when nothing they need was taken away. */
  readonly slots: string;
  /** Which cluster's data this is: written when it was founded or copied by us. */
  readonly identity: string;
  /** An initdb of ours that is not yet the cluster's. */
  readonly founding: string;
  readonly socketDir: string;
  readonly hbaFile: string;
  readonly identFile: string;
  readonly passFile: string;
  readonly logFile: string;
  /** The deadman's: the lease it reads, who it is, what it did. */
  readonly deadmanDir: string;
}

export type DataConfig = NonNullable<Config["data"]>;

/** Whom a standby streams from. */
export interface Upstream {
  readonly nodeId: NodeId;
  readonly epoch: Epoch;
  /** `joiner`: under a name that no commit rule counts, until it is proved that it may (H39). */
  readonly as: "member" | "joiner";
  /**
   * Streamed from for a while: one that is lost is looked for at leisure. Each attempt is a new process, and in a
   * failover it takes what the election and the promotion need.
   */
  readonly settled: boolean;
}

/** What our settings make of the server. */
export interface Wanted {
  /** Whom it streams from; undefined: from nobody. */
  readonly upstream: Upstream | undefined;
  /** Whether it listens on its addresses: not while its history is unverified (H39). */
  readonly listen: boolean;
  readonly gate: "open" | "closed";
  readonly standbyNames: string;
}

/** A promotion of ours. */
export interface Leading {
  readonly epoch: Epoch;
  readonly timeline: number;
  readonly switchLsn: Lsn;
  /** End of the epoch stamp; undefined until it is written. */
  readonly stampLsn: Lsn | undefined;
  readonly gateOpen: boolean;
}

/** What is known of the data server; only the agent's own loop and acts write it. */
export interface State {
  server: Server | undefined;
  /** The last look; undefined since the server (re)started and has not answered yet. */
  look: Look | undefined;
  attached: readonly Attached[];
  /** What our files say. */
  wanted: Wanted | undefined;
  /** Where our files say that its upstream is. */
  upstreamAt: string | undefined;
  /** Since when they say whom it streams from, in monotonic ms; undefined: they said so before this worker began. */
  pointedAt: number | undefined;
  /** Whether the running server was started with its addresses. */
  listening: boolean;
  serial: bigint;
  /** The login rules as this worker wrote them last. */
  hba: string | undefined;
  /** The version of other people's settings files over which ours are known to stand. */
  foreignSettings: string | undefined;
  leads: Leading | undefined;
  /** Set right before a promotion is ordered, until it is known to have ended. */
  promoting: boolean;
  /** Adopted, and not yet known for what it is. */
  unidentified: boolean;
  /** What lay in the data directory when it was last decided on. */
  disk: Disk | undefined;
  /** Proved to receive from nobody, for this epoch, and how far the WAL reaches; void once an upstream is set. */
  detached: { readonly epoch: Epoch; readonly lsn: Lsn } | undefined;
  /** For which epoch this worker made its report, and when it began to. */
  reported: { readonly epoch: Epoch; readonly at: number } | undefined;
  /** For which epoch this worker began a promotion, and when: its appointment followed the last pledge. */
  promotedFor: { readonly epoch: Epoch; readonly at: number } | undefined;
  /** Pid of the receiver that was seen last: all WAL of this run came through it, or through earlier ones. */
  receiver: number | undefined;
  /** Logical slots of this standby that are as good as the primary's, as far as it knows. */
  usableSlots: number | undefined;
  /** Logical slots that the primary has and this standby is to be given. */
  slotsToCopy: readonly string[];
  /** What stands in the file as the slots that logical streams of this primary wait for. */
  waitedSlots: string | undefined;
  /** The slots that were last seen to be there, all of them. */
  slotsFor: string | undefined;
  /** A setting of ours is overridden in the server's files: it is to be set back. */
  overridden: boolean;
  /** Names and version of the commit rule that this primary proved in force. */
  ruleInForce: { readonly names: string; readonly version: bigint } | undefined;
  /** In this epoch this node's WAL was found not to lead to the primary's. */
  rejoin:
    | { readonly epoch: Epoch; readonly by: "rewind" | "copy"; readonly why: string }
    | undefined;
  /** In this epoch a copy of a standby was begun, and this node has not joined since: the next is the primary's. */
  standbyTried: Epoch | undefined;
  /** Monotonic time at which the server was first seen down. */
  downSince: number | undefined;
  /** No process of the data directory is left, proved. */
  gone: boolean;
  /** The postmaster that this worker watched has ended, by itself or as the planned end of its epoch. */
  died: boolean;
  /** Monotonic times at which it died by itself, of the last minute. */
  deaths: readonly number[];
  /** Monotonic time of the first unanswered look. */
  silentSince: number | undefined;
  /** A look is under way: one question at a time. */
  looking: boolean;
  hung: boolean;
  activity: "rewinding" | "cloning" | "starting" | "stopping" | undefined;
  /** An old copy is being removed; the next one waits for that. */
  sweeping: Promise<void> | undefined;
  /** What the data directory's number may be, once the store was asked. */
  life: readonly string[] | undefined;
  systemIdentifier: string | undefined;
  problem: string | undefined;
}

/** Long work on a data directory that no server runs on: elsewhere, so that nothing waits for it (H63). */
export interface LongWork {
  /** Begun `attempts` times at most; by default some times, with growing pauses, and told why (`onRetry`). */
  copy(
    order: Omit<BaseBackupOptions, "clock"> & {
      attempts?: number;
      onRetry?: (why: string) => void;
    },
  ): Promise<BaseBackup>;
  rewind(order: Omit<RewindOptions, "binaries">): Promise<void>;
}

export interface Agent {
  readonly config: Config;
  readonly data: DataConfig;
  readonly binaries: Binaries;
  readonly owner: Owner | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly store: NodeStore;
  readonly work: LongWork;
  readonly paths: Paths;
  /** For acts; for looks and probes; both to the own data server. */
  readonly hands: KeptConnection;
  readonly eyes: KeptConnection;
  readonly state: State;
  readonly lease: LeaseKeeper;
  /** The newest committed state this node has applied. */
  view: AgentView;
  /** Look again now. */
  readonly nudge: () => void;
  /** After each look: settings and standbys that are not as they should be. */
  readonly lookout: Lookout;
  /** Tell the control store what is seen, now. */
  readonly publish: () => Promise<void>;
  /** The same, when something changed or nothing was said for a while. */
  readonly publishChanges: () => Promise<void>;
}

/** An order: it belongs to one epoch, and ends when a newer one is seen (H09). */
export interface Order {
  readonly epoch: Epoch;
  readonly view: AgentView;
  /** The reason of the row that ordered it. */
  readonly why: string;
  readonly signal: AbortSignal;
}

/** `host:port` of a member's data server, as the log has it; undefined where there is none. */
export function placeOf({ members }: AgentView, id: NodeId): string | undefined {
  const member = members.find(({ node_id }) => node_id === id);
  if (member === undefined || member.data_host === null || member.data_port === null)
    return undefined;
  return `${member.data_host}:${member.data_port}`;
}

export class StaleOrder extends Error {
  override readonly name = "StaleOrder";
}

/** After every await that may have been long: is this still the newest order? Throws `StaleOrder`. */
export function recheck(agent: Agent, order: Order): void {
  order.signal.throwIfAborted();
  if (agent.view.epoch !== order.epoch || agent.view.pledge > order.epoch) {
    throw new StaleOrder(
      `an order of epoch ${order.epoch}, and epoch ${agent.view.epoch} is known`,
    );
  }
}

export function pathsOf(config: Config, data: DataConfig): Paths {
  return {
    dataDir: data.dir,
    newDir: `${data.dir}.new`,
    oldDir: `${data.dir}.old`,
    copying: `${data.dir}.copying`,
    marker: `${data.dir}.marker`,
    joining: `${data.dir}.joining`,
    slots: `${data.dir}.slots`,
    identity: join(config.dir, "data.json"),
    founding: join(config.dir, "founding.json"),
    socketDir: join(config.dir, "run", "data"),
    hbaFile: join(config.dir, "hba", "data.conf"),
    identFile: join(config.dir, "hba", "ident.conf"),
    passFile: join(config.dir, "run", "data", "passfile"),
    logFile: join(config.dir, "log", "data.log"),
    deadmanDir: deadmanDirOf(config.dir),
  };
}

export function freshState(): State {
  return {
    server: undefined,
    look: undefined,
    attached: [],
    wanted: undefined,
    upstreamAt: undefined,
    pointedAt: undefined,
    listening: false,
    serial: 0n,
    hba: undefined,
    foreignSettings: undefined,
    leads: undefined,
    promoting: false,
    detached: undefined,
    reported: undefined,
    promotedFor: undefined,
    receiver: undefined,
    usableSlots: undefined,
    slotsToCopy: [],
    waitedSlots: undefined,
    slotsFor: undefined,
    rejoin: undefined,
    standbyTried: undefined,
    overridden: false,
    ruleInForce: undefined,
    downSince: undefined,
    gone: false,
    died: false,
    deaths: [],
    silentSince: undefined,
    looking: false,
    hung: false,
    unidentified: false,
    disk: undefined,
    activity: undefined,
    sweeping: undefined,
    life: undefined,
    systemIdentifier: undefined,
    problem: undefined,
  };
}

const ACT_LIMIT_MS = 15_000;

/** A connection for acts, and one for looks that gives up when the server is silent. */
export function connectionsTo(config: Config, paths: Paths, data: DataConfig) {
  const address = { socketDir: paths.socketDir, port: data.port };
  return {
    hands: keepConnection(() =>
      openForActs(address, { applicationName: "pgreplica_agent", statementLimitMs: ACT_LIMIT_MS }),
    ),
    eyes: keepConnection(() =>
      openDataConnection(address, {
        applicationName: "pgreplica_probe",
        statementLimitMs: config.timing.silentMs,
      }),
    ),
  };
}

/** A new backend: what it shows is what the postmaster holds. The caller ends it. */
export function freshConnection(agent: Agent) {
  return openDataConnection(
    { socketDir: agent.paths.socketDir, port: agent.data.port },
    { applicationName: "pgreplica_proof", statementLimitMs: ACT_LIMIT_MS },
  );
}

/** Pids of our own kept connections. */
export function ownPids(agent: Agent): number[] {
  return [agent.hands.pid(), agent.eyes.pid()].filter((pid) => pid !== undefined);
}

export function isAlive(agent: Agent): boolean {
  return agent.state.server?.alive() ?? false;
}
