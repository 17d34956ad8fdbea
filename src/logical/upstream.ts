/** Finds the node that fits, checks slot and publications, and has it begin to stream. */
import { monotonicClock } from "../clock/clock.ts";
import { unless } from "../clock/unless.ts";
import { type Connection, connect, type StreamSink } from "../replication/connection.ts";
import { limited } from "../replication/limit.ts";
import { identifier, literal } from "../replication/quote.ts";
import { describe } from "../replication/socket.ts";
import { planTls } from "../replication/tls.ts";
import { Confirmed } from "./confirmed.ts";
import { ReplicationError, toReplicationError } from "./errors.ts";
import { checkHistory } from "./history.ts";
import { Lsn } from "./lsn.ts";
import type { HostPort, Settings } from "./options.ts";
import { rows } from "./rows.ts";
import type { Opened } from "./session.ts";

const OLDEST_MAJOR = 15;

/** Which history a stream is part of. */
export interface History {
  readonly timeline: number;
  /** undefined: not known. */
  readonly systemIdentifier: string | undefined;
}

export interface Start {
  /** 0/0: wherever the slot is. */
  readonly lsn: Lsn;
  /** A stream that goes on: what it acknowledged must be in this server's history, and no later start is borne. */
  readonly resuming: boolean;
  /** What was streamed from before, and how far the consumer has got in it. */
  readonly from: (History & { readonly reached: Lsn }) | undefined;
}

export interface UpstreamSink extends StreamSink {
  /** The server fits and is about to stream. */
  opening(opened: Opened): void;
  confirmedMore(): void;
}

/** Throws ReplicationError; `io` with every host's answer when none fits. */
export async function openUpstream(
  settings: Settings,
  start: Start,
  sink: UpstreamSink,
  signal: AbortSignal,
): Promise<Connection> {
  const failures: { readonly node: HostPort; readonly error: ReplicationError }[] = [];
  for (const node of settings.hosts) {
    try {
      return await inTime(node, settings, signal, (either) =>
        openAt(node, settings, start, sink, either),
      );
    } catch (cause) {
      signal?.throwIfAborted();
      failures.push({ node, error: toReplicationError(cause) });
    }
  }
  throw worst(failures);
}

/** One host's own error; of several the one that waiting will not cure, named with its host. */
function worst(failures: readonly { node: HostPort; error: ReplicationError }[]): ReplicationError {
  const [first] = failures;
  if (first === undefined) throw new ReplicationError("internal", "no host was tried");
  if (failures.length === 1) return first.error;
  const lasting = failures.find(({ error }) => !error.isTransient);
  const list = failures
    .map(({ node, error }) => `${node.host}:${node.port}: ${error.message}`)
    .join("; ");
  const { kind, sqlstate, detail, hint } = (lasting ?? first).error;
  const fields = { sqlstate, detail, hint, cause: (lasting ?? first).error };
  return new ReplicationError(kind, `no host serves this stream: ${list}`, fields);
}

async function openAt(
  node: HostPort,
  settings: Settings,
  start: Start,
  sink: UpstreamSink,
  signal: AbortSignal,
): Promise<Connection> {
  const connection = await dial(node, settings, signal);
  let confirmed: Confirmed | undefined;
  try {
    await checkServer(connection, settings);
    const startLsn = await checkSlot(connection, settings, start);
    const history = await checkHistory(connection, settings, start);
    await checkPublications(connection, settings);
    confirmed = await confirmedAt(node, settings, sink, signal);
    sink.opening({ startLsn, history, confirmed });
    const limit = { silenceLimitMs: settings.connectTimeoutMs };
    await connection.stream(startReplication(settings, start.lsn), sink, limit);
    return connection;
  } catch (error) {
    confirmed?.close();
    connection.destroy(error);
    throw error;
  }
}

function confirmedAt(node: HostPort, settings: Settings, sink: UpstreamSink, signal: AbortSignal) {
  if (settings.unconfirmed === "deliver" || settings.target === "standby") return undefined;
  return Confirmed.open(
    () => dial(node, settings, signal, "plain"),
    { several: settings.hosts.length > 1 },
    { onMore: () => sink.confirmedMore(), onFailure: (error) => sink.lost(error) },
  );
}

/** All that connecting to one host takes. Throws ConnectionLost at `connectTimeoutMs`, or the signal's reason. */
export function inTime<T>(
  node: HostPort,
  { connectTimeoutMs: limitMs }: Settings,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = `connecting to ${describe(node)} took longer than ${limitMs} ms`;
  return limited({ clock: monotonicClock, limitMs, signal, late }, work);
}

/** A session that answers simple statements, and can stream unless it is a `plain` one. */
export async function dial(
  node: HostPort,
  settings: Settings,
  signal: AbortSignal,
  kind: "streaming" | "plain" = "streaming",
): Promise<Connection> {
  return connect({
    ...node,
    ...(await unless(signal, credentials(node, settings))),
    user: settings.user,
    database: settings.database,
    replication: kind === "streaming" ? "logical" : undefined,
    applicationName: settings.applicationName,
    clock: monotonicClock,
    signal,
    connectLimitMs: settings.connectTimeoutMs,
    channelBinding: settings.channelBinding,
    requireAuth: settings.requireAuth,
    maxMessageBytes: settings.maxMessageBytes,
  });
}

async function credentials({ host }: HostPort, settings: Settings) {
  return { tls: await planTls(settings.tls, host), password: await settings.password?.() };
}

interface Needs {
  readonly option: string;
  readonly major: number;
  readonly asked: (settings: Settings) => boolean;
}

const NEEDS: readonly Needs[] = [
  { option: "target 'standby'", major: 16, asked: ({ target }) => target === "standby" },
  { option: "streaming 'parallel'", major: 16, asked: ({ streaming }) => streaming === "parallel" },
  { option: "origin 'none'", major: 16, asked: ({ origin }) => origin === "none" },
  { option: "protocolVersion 4", major: 16, asked: ({ protocolVersion }) => protocolVersion === 4 },
];

async function checkServer(connection: Connection, settings: Settings): Promise<void> {
  const major = connection.majorVersion;
  if (major < OLDEST_MAJOR) {
    throw new ReplicationError(
      "config",
      `${connection.peer} is PostgreSQL ${major}, ${OLDEST_MAJOR} or newer is needed`,
    );
  }
  const refused = NEEDS.find((need) => need.asked(settings) && major < need.major);
  if (refused !== undefined) {
    const { option, major: needed } = refused;
    throw new ReplicationError(
      "config",
      `${option} needs PostgreSQL ${needed}; ${connection.peer} is ${major}`,
    );
  }
  const [row] = await rows(
    connection,
    "select pg_is_in_recovery(), (select setting from pg_settings where name = 'wal_sender_timeout')",
  );
  const inRecovery = row?.[0] === "t";
  if (settings.target !== "any" && inRecovery !== (settings.target === "standby")) {
    const is = inRecovery ? "a standby" : "a primary";
    throw new ReplicationError(
      "io",
      `${connection.peer} is ${is}, the target is a ${settings.target}`,
    );
  }
  const timeoutMs = Number(row?.[1] ?? 0);
  const everyMs = Math.min(settings.statusIntervalMs, settings.idleWakeupIntervalMs);
  if (timeoutMs > 0 && everyMs >= timeoutMs / 2) {
    settings.onWarning(
      `statusIntervalMs ${everyMs} is not below half of wal_sender_timeout (${timeoutMs} ms): ` +
        `${connection.peer} may end the stream`,
    );
  }
}

/** Answers where the stream will begin. */
async function checkSlot(connection: Connection, settings: Settings, start: Start): Promise<Lsn> {
  const { lsn, resuming } = start;
  const { slot } = settings;
  const reseed = resuming
    ? "re-seed needed: copy the tables anew and begin with a new slot; changes are missing otherwise"
    : "create it with pg_create_logical_replication_slot, or use the slot helpers of this package";
  const [found] = await rows(
    connection,
    `select plugin, database = current_database(), confirmed_flush_lsn::text, wal_status = 'lost',
            case when pg_is_in_recovery() then pg_last_wal_receive_lsn() else pg_current_wal_flush_lsn() end::text
     from pg_replication_slots where slot_name = ${literal(slot)}`,
  );
  const refuse = (why: string) =>
    new ReplicationError("slot", `slot ${JSON.stringify(slot)} at ${connection.peer} ${why}`, {
      hint: reseed,
    });
  if (found === undefined) {
    throw refuse(resuming ? "does not exist: re-seed needed" : "does not exist");
  }
  const [plugin, sameDatabase, confirmed, lost, end] = found;
  if (plugin === null || plugin === undefined)
    throw refuse("is a physical slot, a logical one is needed");
  if (plugin !== "pgoutput") throw refuse(`decodes with ${plugin}, pgoutput is needed`);
  if (sameDatabase !== "t") throw refuse("belongs to another database");
  if (lost === "t" || confirmed === null || confirmed === undefined)
    throw refuse("has lost its WAL: re-seed needed");
  if (resuming && end != null && Lsn.parse(end) < lsn) {
    throw refuse(
      `cannot go on: ${Lsn.format(lsn)} was applied, and the server's WAL ends at ${end}: re-seed needed`,
    );
  }
  return forwarded(Lsn.parse(confirmed), start, settings, refuse);
}

function forwarded(
  confirmed: Lsn,
  { lsn, resuming }: Start,
  settings: Settings,
  refuse: (why: string) => ReplicationError,
): Lsn {
  if (lsn === 0n) return confirmed;
  if (lsn >= confirmed) return lsn;
  const why = `would begin at ${Lsn.format(confirmed)}, after the start that was asked for, ${Lsn.format(lsn)}`;
  if (resuming || settings.onForwarded === "error") throw refuse(why);
  settings.onWarning(`slot ${settings.slot} ${why}`);
  return confirmed;
}

/** The server itself finds out only when the first change is decoded. */
async function checkPublications(
  connection: Connection,
  { publications }: Settings,
): Promise<void> {
  const list = publications.map(literal).join(", ");
  const found = await rows(
    connection,
    `select pubname from pg_publication where pubname in (${list})`,
  );
  const missing = publications.filter((name) => !found.some(([known]) => known === name));
  if (missing.length === 0) return;
  const names = missing.map((name) => JSON.stringify(name)).join(", ");
  throw new ReplicationError(
    "server",
    `publication ${names} does not exist at ${connection.peer}`,
    {
      sqlstate: "42704",
    },
  );
}

/** The lowest version that the options need. */
function protocolVersion({ protocolVersion: asked, streaming, twoPhase }: Settings): number {
  if (asked !== "auto") return asked;
  if (streaming === "parallel") return 4;
  if (twoPhase) return 3;
  return streaming === "on" ? 2 : 1;
}

function startReplication(settings: Settings, lsn: Lsn): string {
  const { slot, publications, streaming, twoPhase, messages, binary, origin } = settings;
  const names = publications.map(identifier).join(",");
  const options = [
    `proto_version '${protocolVersion(settings)}'`,
    `publication_names ${literal(names)}`,
    ...(streaming === "off" ? [] : [`streaming '${streaming}'`]),
    ...(twoPhase ? ["two_phase 'on'"] : []),
    ...(messages ? ["messages 'on'"] : []),
    ...(binary ? ["binary 'on'"] : []),
    ...(origin === "none" ? ["origin 'none'"] : []),
  ];
  return `START_REPLICATION SLOT ${identifier(slot)} LOGICAL ${Lsn.format(lsn)} (${options.join(", ")})`;
}
