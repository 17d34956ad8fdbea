/** One node's worker: builds everything, starts it in order, ends it in reverse. The servers outlive it. */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type pg from "pg";
import { runAgent } from "../agent/agent.ts";
import type { Clock } from "../clock/clock.ts";
import { together } from "../clock/together.ts";
import type { Config } from "../config/schema.ts";
import { nodePassword } from "../config/secrets.ts";
import { dialTls } from "../config/tls.ts";
import { nodeRole } from "../core/ids.ts";
import { clusterView } from "../db/cluster.ts";
import { openPool } from "../db/connect.ts";
import { type Hints, type OpenHints, openHints, unhurried } from "../db/hints.ts";
import type { Sender } from "../db/peer.ts";
import type { RaftMember } from "../db/raft.ts";
import { longWork } from "../jobs/long-work.ts";
import { createWatch, leadWhile } from "../leader/as-leader.ts";
import { recallFlaps, rememberFlaps } from "../leader/remember.ts";
import { suspectLost, suspectQuietLeader } from "../leader/suspect.ts";
import type { PrimaryWatch } from "../leader/watch.ts";
import type { AdjustableLog, Log } from "../log/logger.ts";
import { type Binaries, findBinaries } from "../postgres/binaries.ts";
import type { Owner } from "../postgres/owner.ts";
import { doorsOf } from "../raft/gates.ts";
import type { PeerAddress } from "../raft/links.ts";
import type { Leadership } from "../raft/raft.ts";
import { Raft } from "../raft/run.ts";
import { announce } from "./announce.ts";
import { applyHandlers } from "./apply-handlers.ts";
import { attend } from "./attend.ts";
import { keepBallast } from "./ballast.ts";
import { keepLogBounded } from "./compact.ts";
import {
  type ControlStore,
  ownControlStore,
  startControlStore,
  stopControlStore,
} from "./control-store.ts";
import { untilDamaged } from "./damage.ts";
import { forward } from "./forward.ts";
import { keepMark } from "./life-mark.ts";
import { keepNotificationsMoving } from "./listeners.ts";
import { type LogService, logService } from "./log-service.ts";
import { keepLogins } from "./logins.ts";
import { keepPlaces } from "./move.ts";
import { followSettings, type Settled, settle } from "./pgraft-settings.ts";
import { registerMembers } from "./register.ts";
import { keepRunning } from "./supervise.ts";
import { keepTls } from "./tls.ts";
import { type AskUpkeep, sharedUpkeep } from "./upkeep.ts";
import { keepObserved } from "./witness.ts";

export interface WorkerOptions {
  /** Of the servers' processes and files; undefined: this process's own user. */
  readonly owner: Owner | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** How much `log` and its children tell; what cannot be changed stays. */
  readonly adjust?: Pick<AdjustableLog, "debugging" | "setLevel">;
  /** Ends the worker; both servers go on. */
  readonly signal: AbortSignal;
  /** Told as soon as the log can be asked for. */
  readonly onLog?: (service: LogService) => void;
}

interface Parts extends WorkerOptions {
  readonly config: Config;
  /** What settings of the control server's files make of it, at the start. */
  readonly settled: Settled;
  readonly binaries: Binaries;
  readonly me: Sender;
  readonly store: pg.Pool;
  readonly ask: AskUpkeep;
  readonly gates: pg.Pool;
  readonly hints: OpenHints;
  readonly leaderHints: Hints;
  readonly watch: PrimaryWatch;
}

/** One may wait for a commit; the other looks meanwhile. */
const STORE_CONNECTIONS = 2;
const STORE_STATEMENT_LIMIT_MS = 5000;
/** A failover is over by then. */
const AFTERWARDS_MS = 1000;
/** Listeners are told soon, and of the events of one step at once. */
const NEWS_MS = 100;

/** Runs until the signal aborts. Throws when the node cannot run at all; the message says why. */
export async function runWorker(config: Config, options: WorkerOptions): Promise<void> {
  const { owner, clock, log, signal } = options;
  const copyEmbeddedTo = join(config.dir, "postgres");
  const binaries = await findBinaries({ binDir: config.binDir, owner, copyEmbeddedTo });
  const control = await startControlStore(config, binaries, owner, { clock, log });
  const connection = {
    ...ownControlStore(config, "pg_replica worker"),
    statementLimitMs: STORE_STATEMENT_LIMIT_MS,
  };
  const store = openPool(connection, STORE_CONNECTIONS);
  const gates = openPool({ ...connection, applicationName: "pg_replica gates" }, 1);
  const hints = await openHints(connection, { channels: ["pg_replica_wake"], clock });
  const me: Sender = {
    clusterId: control.identity.clusterId,
    nodeId: control.identity.nodeId,
    incarnation: control.identity.incarnation,
  };
  log.info({ event: "worker.started", version: binaries.version, pid: process.pid }, "looking");
  try {
    const settled = await settle(config, store);
    const watch = createWatch({ config, clock });
    await recallFlaps(config, watch.flaps, clock);
    await runParts(
      {
        ...options,
        config,
        settled,
        binaries,
        me,
        store,
        ask: sharedUpkeep(store),
        gates,
        hints,
        leaderHints: hints.fork("applied", "suspect", "observed", "reported", "handed_over"),
        watch,
      },
      control,
    );
  } finally {
    log.info({ event: "worker.stopping" }, String(signal.reason ?? "a part has failed"));
    await hints.close();
    await Promise.all([store.end(), gates.end()]);
    log.info({ event: "worker.stopped" }, "the servers go on");
  }
}

/** All parts side by side; the first that fails ends the others, and the worker. */
async function runParts(parts: Parts, control: ControlStore): Promise<void> {
  await together(parts, (signal) => begin(parts, control, signal));
  if (!parts.signal.aborted) throw new Error("a part of the worker ended by itself");
}

function begin(parts: Parts, control: ControlStore, signal: AbortSignal): Promise<void>[] {
  const raft = buildRaft({ ...parts, signal });
  parts.onLog?.(logService({ raft, store: parts.store, nodeId: parts.me.nodeId }));
  return [
    raft.run(),
    keepControlStore(parts, control, signal),
    suspect(parts, raft, signal),
    remember(parts, signal),
    keepBallast(parts.config, { ...parts, signal }),
    keepNotificationsMoving({ ...parts, signal }),
    keepTls(parts.config, { ...parts, signal }),
    keepLogBounded({ ...parts, raft, hints: afterwards(parts, "applied", "served"), signal }),
    heed(parts, raft, signal),
    tellLeader(parts, raft, signal),
    showLife(parts, raft, signal),
    callHandlers(parts, signal),
    markLife(parts, signal),
    admit(parts, raft, signal),
    keepPlaces({ ...parts, raft, hints: parts.hints.fork("moved"), signal }),
    ...(parts.config.data === undefined
      ? [keepObserved({ ...parts, signal })]
      : tendData(parts, raft, signal)),
  ];
}

/** For what can wait until the failover that these hints may tell of is over. */
function afterwards(
  { hints, clock }: Pick<Parts, "hints" | "clock">,
  ...payloads: readonly string[]
): Hints {
  return unhurried(hints.fork(...payloads), clock, () => AFTERWARDS_MS);
}

function tellLeader(parts: Parts, raft: Raft, signal: AbortSignal): Promise<void> {
  const hints = parts.hints.fork("observed", "reported", "handed_over", "act", "leader");
  return forward({ ...parts, raft, hints, signal });
}

function callHandlers(parts: Parts, signal: AbortSignal): Promise<void> {
  const rung = () => parts.hints.fork("applied", "served");
  const hints = { control: rung(), data: rung() };
  return applyHandlers({ ...parts, hints, signal });
}

function showLife(parts: Parts, raft: Raft, signal: AbortSignal): Promise<void> {
  const { debugging = () => undefined } = parts.adjust ?? {};
  return attend({ ...parts, raft, debugging, instance: randomUUID(), signal });
}

function heed(parts: Parts, raft: Raft, signal: AbortSignal): Promise<void> {
  const { setLevel = () => undefined } = parts.adjust ?? {};
  return followSettings({ ...parts, raft, setLevel, signal });
}

function admit(parts: Parts, raft: Raft, signal: AbortSignal): Promise<void> {
  const introduced = () => raft.introduced();
  return keepLogins({ ...parts, hints: afterwards(parts, "applied"), introduced, signal });
}

function markLife(parts: Parts, signal: AbortSignal): Promise<void> {
  const { incarnation } = parts.me;
  return keepMark({ ...parts, incarnation, hints: afterwards(parts, "applied", "leader"), signal });
}

function tendData(parts: Parts, raft: Raft, signal: AbortSignal): Promise<void>[] {
  const { hints, config, binaries, clock, log } = parts;
  const work = longWork({ store: ownControlStore(config, "pg_replica job"), binaries, log });
  const lease = { source: raft, random: Math.random };
  const soon = unhurried(hints.fork("applied", "observed"), clock, () => NEWS_MS);
  return [
    runAgent({ ...parts, work, hints: hints.fork("applied", "leader"), signal, lease }),
    // News may be older than the knowledge that the server here is the primary.
    announce({ ...parts, hints: soon, signal }),
  ];
}

function buildRaft(parts: Parts): Raft {
  const { config, me, store, gates, clock, log, hints, signal, watch } = parts;
  const readView = () => clusterView(store);
  const raft: Raft = new Raft({
    me,
    addressOf: addressOf(config),
    tuning: parts.settled,
    store,
    doors: doorsOf(gates),
    clock,
    random: Math.random,
    log,
    hints: hints.fork("leader", "transfer", "lease"),
    gateHints: hints.fork("inbox", "read"),
    signal,
    onLost: (peer) => void suspectLost({ watch, readView, self: config.node.id }, peer),
    whileLeading: (leadership) => lead(parts, raft, leadership),
  });
  return raft;
}

async function lead(parts: Parts, raft: Raft, leadership: Leadership): Promise<void> {
  const { config, store, clock, log, leaderHints, watch } = parts;
  await Promise.all([
    leadWhile({ leadership, store, config, clock, log, hints: leaderHints, watch }),
    registerMembers(leadership, { raft, store, clock, log }),
  ]);
}

/** Look at the primary's data port as soon as heartbeats are missed, so that an election finds the answer there. */
function suspect(parts: Parts, raft: Raft, signal: AbortSignal): Promise<void> {
  const { config, store, clock, watch } = parts;
  return suspectQuietLeader({
    watch,
    clock,
    readView: () => clusterView(store),
    quietMs: () => raft.quietMs(),
    leader: () => raft.leader(),
    self: config.node.id,
    heartbeatMs: () => raft.tuning.timing.heartbeatMs,
    signal,
  });
}

function remember(parts: Parts, signal: AbortSignal): Promise<void> {
  const readView = () => clusterView(parts.store);
  return rememberFlaps({ ...parts, readView, hints: afterwards(parts, "applied"), signal });
}

/**
 * The own store over its socket, the others over TCP as this node's role: where the log says that they are or, while
 * nothing answers there, where this node's file does.
 */
function addressOf(config: Config): (member: RaftMember) => PeerAddress {
  const own = ownControlStore(config, "");
  const user = nodeRole(config.node.id);
  const password = nodePassword(config, config.node.id);
  const tls = dialTls(config);
  return ({ id, host, port }) => {
    if (id === config.node.id) return { id, host: own.host, port: own.port, user: own.user };
    const elsewhere = config.peers.find(
      (peer) => peer.id === id && (peer.host !== host || peer.port !== port),
    );
    return { id, host, port, elsewhere, user, password, tls };
  };
}

/** A control store that ends is started again: without it this node has no voice. */
async function keepControlStore(
  parts: Parts,
  control: ControlStore,
  signal: AbortSignal,
): Promise<void> {
  const { config, binaries, owner, clock, log } = parts;
  const otherLife = new AbortController();
  const end = AbortSignal.any([signal, otherLife.signal]);
  let { server } = control;
  let damage: string | undefined;
  const restart = async () => {
    log.warn({ event: "control.gone" }, "the control store has ended");
    const how = damage === undefined ? { clock, log } : { clock, log, damage };
    const started = await startControlStore(config, binaries, owner, how);
    ({ server } = started);
    if (started.identity.incarnation !== parts.me.incarnation) otherLife.abort();
  };
  const condemn = async () => {
    damage = await untilDamaged({ ...parts, signal: end });
    if (damage !== undefined) await stopControlStore({ server });
  };
  await Promise.all([
    keepRunning(
      "control store",
      { clock, log, signal: end },
      { ended: () => server.exited, start: restart },
    ),
    condemn(),
  ]);
  if (otherLife.signal.aborted) {
    throw new Error("the control store was made anew: the worker begins again with it");
  }
}
