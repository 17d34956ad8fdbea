/** How a control store is configured: small, durable, reached by its own node, its peers and operators. */
import { join } from "node:path";
import type { Config } from "../config/schema.ts";
import type { Binaries } from "../postgres/binaries.ts";
import { makeDirectory, writeDurable } from "../postgres/files.ts";
import { memberRules, memberType, renderHba } from "../postgres/hba.ts";
import { identFile, socketRule } from "../postgres/ident.ts";
import type { Owner } from "../postgres/owner.ts";
import { readSettings, type Settings, tlsSettings, writeSettings } from "../postgres/settings.ts";
import { installTls } from "./tls-files.ts";

/** Where a node keeps what belongs to its control store; see docs/architecture.md, "A node's directory". */
export function controlPaths(config: Pick<Config, "dir" | "control">) {
  const hba = join(config.dir, "hba");
  return {
    dataDir: config.control.dir,
    /** A store under construction: becomes `dataDir` when it is whole. */
    unfinished: `${config.control.dir}.new`,
    /** Says that `unfinished` is ours, so that it may be removed. */
    initMarker: `${config.control.dir}.init`,
    socketDir: join(config.dir, "run", "control"),
    logDir: join(config.dir, "log"),
    logFile: join(config.dir, "log", "control.log"),
    hbaDir: hba,
    hbaFile: join(hba, "control.conf"),
    identFile: join(hba, "ident.conf"),
  };
}

export function controlHba(config: Pick<Config, "control" | "tls">): string {
  return renderHba([
    socketRule("control"),
    ...memberRules(memberType(config), ["postgres"]),
    ...config.control.hba,
  ]);
}

export function controlSettings(
  config: Pick<Config, "dir" | "control" | "cluster" | "node" | "tls">,
  { major }: Pick<Binaries, "major">,
): Settings {
  const paths = controlPaths(config);
  return {
    listen_addresses: config.control.listen,
    port: config.control.port,
    unix_socket_directories: `"${paths.socketDir.replaceAll('"', '""')}"`,
    hba_file: paths.hbaFile,
    ident_file: paths.identFile,
    cluster_name: `${config.node.name} control`.slice(0, 63),
    // 220 for callers, of whom one of the log as a service takes two; 60 for members; 10 that the worker has open, and
    // as many for it to open again. The locks they share cost memory, and few are taken.
    max_connections: 300,
    max_locks_per_transaction: 24,
    max_pred_locks_per_transaction: 24,
    // Raft's own connections must get in however many callers there are (H64). Before PostgreSQL 16 those have limits.
    superuser_reserved_connections: 10,
    ...(major >= 16 ? { reserved_connections: 60 } : {}),
    password_encryption: "scram-sha-256",
    // A peer that vanishes without a word gives its connection back within seconds.
    tcp_keepalives_idle: 2,
    tcp_keepalives_interval: 1,
    tcp_keepalives_count: 3,
    tcp_user_timeout: 5000,
    idle_in_transaction_session_timeout: "10s",
    // The promise is the COMMIT (H51).
    fsync: true,
    full_page_writes: true,
    synchronous_commit: true,
    "plpgsql.check_asserts": true,
    // The worker restarts it, and verifies it first.
    restart_after_crash: false,
    ...SMALL,
    ...(major >= 18 ? { io_method: "sync", autovacuum_worker_slots: 1 } : {}),
    ...tlsSettings(config),
    ...LOGGING,
    timezone: "UTC",
  };
}

const SMALL: Settings = {
  shared_buffers: "4MB",
  wal_level: "minimal",
  max_wal_senders: 0,
  max_replication_slots: 0,
  max_worker_processes: 0,
  max_parallel_workers: 0,
  max_parallel_workers_per_gather: 0,
  max_parallel_maintenance_workers: 0,
  max_logical_replication_workers: 0,
  autovacuum_max_workers: 1,
  // Preallocated, two segments at least: a vote must not need a disk that is full (H66).
  min_wal_size: "2MB",
  max_wal_size: "16MB",
  bgwriter_lru_maxpages: 0,
  // All that commits asynchronously is unlogged: nothing for the WAL writer to hurry for.
  wal_writer_delay: "10s",
  bgwriter_delay: "10s",
  jit: false,
  huge_pages: "off",
};

/** No statement is logged: some hold verifiers. */
const LOGGING: Settings = {
  logging_collector: false,
  log_destination: "stderr",
  log_line_prefix: "%m [%p] %q%u@%h %a ",
  log_timezone: "UTC",
  log_min_messages: "warning",
  log_min_error_statement: "panic",
  log_statement: "none",
  log_min_duration_statement: -1,
  log_checkpoints: false,
  log_connections: false,
  log_disconnections: false,
};

/** Set while peers are to get no answer, since the store may have forgotten what it promised them (H56). */
export const UNVERIFIED = "pgreplica.unverified";

interface Place {
  readonly dataDir: string;
  readonly binaries: Binaries;
  readonly owner: Owner | undefined;
}

/** Folders, access rules and settings in their present form, for the store in `dataDir`. Durable. */
export async function writeControlFiles(
  config: Config,
  { dataDir, binaries, owner, unverified }: Place & { readonly unverified: boolean },
): Promise<void> {
  const paths = controlPaths(config);
  await makeDirectory(join(config.dir, "run"), { mode: 0o755 });
  await makeDirectory(paths.socketDir, { owner });
  await makeDirectory(paths.hbaDir, { owner });
  await makeDirectory(paths.logDir, { owner, mode: 0o750 });
  await installTls(config, owner);
  await writeDurable(paths.hbaFile, controlHba(config), { owner });
  await writeDurable(paths.identFile, identFile(config.runAs), { owner });
  const settings = { ...controlSettings(config, binaries), [UNVERIFIED]: unverified };
  await writeSettings(dataDir, settings, owner);
}

/** Whether the store that runs there answers no peer yet: its worker ended before it had compared. */
export async function isLeftUnverified(dataDir: string): Promise<boolean> {
  return (await readSettings(dataDir))[UNVERIFIED] === "on";
}
