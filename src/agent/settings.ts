/** Our settings and login rules of the data server, and the proof that a running one has taken them. */
import { readFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import { waitUntil } from "../clock/clock.ts";
import { nodePassword } from "../config/secrets.ts";
import { nodeRole, standbyName } from "../core/ids.ts";
import { showSettings } from "../db/data-standby.ts";
import type { AgentView } from "../db/node.ts";
import { exists, makeDirectory, writeDurable } from "../postgres/files.ts";
import { type HbaLine, renderHba, renderIdent } from "../postgres/hba.ts";
import {
  overriddenSettings,
  readSettings,
  type Settings,
  writeSettings,
} from "../postgres/settings.ts";
import { type Agent, type DataConfig, freshConnection, type Wanted } from "./context.ts";

export class SettingIsOurs extends Error {
  override readonly name = "SettingIsOurs";
}

/** Defaults an operator may change in `data.settings`. */
const DEFAULTS: Settings = {
  wal_level: "replica",
  max_wal_senders: 20,
  max_slot_wal_keep_size: "1GB",
  wal_keep_size: "128MB",
  superuser_reserved_connections: 5,
  checkpoint_timeout: "5min",
  wal_log_hints: true,
};

const SERIAL = "pgreplica.settings_serial";

/** Names only we set: safety rests on them. Throws `SettingIsOurs` for the first one an operator names. */
export function checkOperatorSettings(settings: DataConfig["settings"]): void {
  const ours = new Set(Object.keys(fixedSettings({ members: 1 })));
  for (const name of Object.keys(settings)) {
    if (!ours.has(name.toLowerCase()) && !name.toLowerCase().startsWith("pgreplica.")) continue;
    throw new SettingIsOurs(
      `data.settings.${name}: this setting is pg_replica's own; remove it from the configuration`,
    );
  }
}

/** What never depends on the moment; the values of the others are placeholders here. */
function fixedSettings({ members }: { members: number }): Settings {
  return {
    listen_addresses: "",
    port: 0,
    unix_socket_directories: "",
    hba_file: "",
    ident_file: "",
    primary_conninfo: "",
    primary_slot_name: "",
    synchronous_standby_names: "",
    cluster_name: "",
    hot_standby: true,
    max_replication_slots: 10 + members,
    restore_command: "",
    recovery_target_timeline: "latest",
    recovery_min_apply_delay: 0,
    wal_retrieve_retry_interval: "20ms",
    wal_receiver_status_interval: "1s",
    wal_sender_timeout: "3s",
    wal_receiver_timeout: "3s",
    restart_after_crash: false,
    fsync: true,
    full_page_writes: true,
    unix_socket_permissions: "0700",
    // A copy holds its source's tablespaces as directories of its own.
    allow_in_place_tablespaces: true,
  };
}

/** The whole include file, in order: later lines win, so ours stand last. */
export function settingsFor(agent: Agent, wanted: Wanted, serial: bigint): Settings {
  const { config, data, paths, view } = agent;
  const { nodeId, epoch } = wanted.upstream ?? {};
  return {
    ...DEFAULTS,
    ...data.settings,
    ...fixedSettings({ members: view.members.length }),
    listen_addresses: wanted.listen ? data.listen : "",
    port: data.port,
    unix_socket_directories: paths.socketDir,
    hba_file: paths.hbaFile,
    ident_file: paths.identFile,
    cluster_name: `${config.cluster}/${config.node.name}`
      .replaceAll(/[^\x20-\x7e]/g, "?")
      .slice(0, 63),
    synchronous_standby_names: wanted.standbyNames,
    primary_conninfo: nodeId === undefined ? "" : connectionTo(agent, view, nodeId),
    primary_slot_name: nodeId === undefined ? "" : `pgreplica_${config.node.id}`,
    "pgreplica.control_socket": join(config.dir, "run", "control"),
    "pgreplica.control_port": config.control.port,
    "pgreplica.control_uri": `postgresql://postgres@${config.control.host}:${config.control.port}/postgres`,
    "pgreplica.epoch": String(epoch ?? ""),
    "pgreplica.upstream": String(nodeId ?? ""),
    "pgreplica.gate": wanted.gate,
    [SERIAL]: serial.toString(),
  };
}

/** The password stands in a file only the server reads, not in a setting that superusers and logs show. */
function connectionTo(agent: Agent, view: AgentView, nodeId: number): string {
  const member = view.members.find(({ node_id }) => node_id === nodeId);
  if (member === undefined || member.data_host === null || member.data_port === null) {
    throw new Error(`node ${nodeId} has no data server to stream from`);
  }
  const words = {
    host: member.data_host,
    port: member.data_port,
    user: nodeRole(agent.config.node.id),
    passfile: agent.paths.passFile,
    application_name: standbyName(agent.config.node.id, view.incarnation),
    connect_timeout: 2,
    keepalives_idle: 1,
    keepalives_interval: 1,
    keepalives_count: 3,
    tcp_user_timeout: 3000,
  };
  return Object.entries(words)
    .map(([name, value]) => `${name}='${String(value).replaceAll(/['\\]/g, "\\$&")}'`)
    .join(" ");
}

/** Who may log in: always we, over the socket, and replication by members; everyone else through an open gate. */
export function hbaFor(gate: Wanted["gate"], clients: readonly string[]): string {
  const ours: HbaLine[] = [
    {
      type: "local",
      database: "all",
      user: "postgres",
      method: "peer",
      options: { map: "pgreplica" },
    },
    {
      type: "host",
      database: "replication",
      user: "+pgreplica_peer",
      address: "all",
      method: "scram-sha-256",
    },
  ];
  if (gate === "closed") return renderHba(ours);
  const members: HbaLine = {
    type: "host",
    database: "postgres",
    user: "+pgreplica_peer",
    address: "all",
    method: "scram-sha-256",
  };
  return renderHba([...ours, members, ...clients]);
}

/** Folders, ident map and password file: what must stand before the server starts. */
export async function prepareFiles(agent: Agent): Promise<void> {
  const { config, owner, paths } = agent;
  for (const name of ["run", "log", "hba"]) {
    const path = join(config.dir, name);
    if (!(await exists(path))) await makeDirectory(path, { owner, mode: 0o755 });
  }
  await makeDirectory(paths.socketDir, { owner });
  const users = new Set([userInfo().username, owner?.name ?? config.runAs]);
  const rules = [...users].map((systemUser) => ({
    map: "pgreplica",
    systemUser,
    databaseUser: "postgres",
  }));
  const ident = renderIdent(rules);
  if ((await textOf(paths.identFile)) !== ident)
    await writeDurable(paths.identFile, ident, { owner });
  const secret = nodePassword(config, config.node.id);
  await writeDurable(paths.passFile, `*:*:*:${nodeRole(config.node.id)}:${secret}\n`, { owner });
}

/** Write what is wanted, durably, under the next serial. A running server learns of it by `reloadProved`. */
export async function writeWanted(agent: Agent, wanted: Wanted): Promise<void> {
  const { owner, paths, state } = agent;
  const serial = state.serial + 1n;
  const hba = hbaFor(wanted.gate, agent.data.hba);
  const writeHba = async () => {
    if ((await textOf(paths.hbaFile)) !== hba) await writeDurable(paths.hbaFile, hba, { owner });
  };
  const settings = settingsFor(agent, wanted, serial);
  // In any order: nobody reads them before the reload.
  await Promise.all([
    writeHba(),
    stripOverrides(agent, settings),
    writeSettings(paths.dataDir, settings, owner),
  ]);
  if (wanted.upstream !== undefined) state.detached = undefined;
  state.serial = serial;
  state.wanted = wanted;
}

/** `alter system`, and a base backup's source, write a file that outranks ours: our names leave it. */
async function stripOverrides({ paths, owner }: Agent, settings: Settings): Promise<void> {
  const ours = Object.keys(settings).filter((name) => !(name in DEFAULTS));
  const overridden = new Set(await overriddenSettings(paths.dataDir, ours));
  if (overridden.size === 0) return;
  const path = join(paths.dataDir, "postgresql.auto.conf");
  const lines = (await textOf(path)).split("\n");
  const kept = lines.filter((line) => {
    const name = /^\s*([\w.]+)/.exec(line)?.[1];
    return name === undefined || !overridden.has(name.toLowerCase());
  });
  await writeDurable(path, kept.join("\n"), { owner });
}

/**
 * Signal the postmaster and prove that it has taken the files: a backend it forks afterwards shows their serial.
 * It reads the login rules in the same breath, before it forks again. Returns what that backend shows.
 */
export async function reloadProved(agent: Agent, limitMs = 5000, signal?: AbortSignal) {
  const { state, clock } = agent;
  const { server, serial } = state;
  if (server === undefined) throw new Error("no data server to reload");
  server.reload();
  const wait = { clock, everyMs: 2, limitMs, ...(signal === undefined ? {} : { signal }) };
  return waitUntil("new settings in a new backend", wait, async () => {
    const fresh = await freshConnection(agent);
    try {
      const shown = await showSettings(fresh.db);
      return shown.serial === serial.toString() ? { ...shown, pid: fresh.pid } : undefined;
    } finally {
      fresh.end();
    }
  });
}

/** Change some of what is wanted on a running server, proved. */
export async function change(agent: Agent, part: Partial<Wanted>, signal?: AbortSignal) {
  await writeWanted(agent, { ...currentWanted(agent), ...part });
  return reloadProved(agent, 5000, signal);
}

export function currentWanted({ state, view }: Agent): Wanted {
  return (
    state.wanted ?? {
      upstream: undefined,
      listen: false,
      gate: "closed",
      standbyNames: view.standby_names,
    }
  );
}

/** What the files of a server that runs already say; for its adoption. */
export async function readWanted({ paths, state }: Agent): Promise<Wanted> {
  const written = await readSettings(paths.dataDir);
  const upstream = Number(written["pgreplica.upstream"] ?? "");
  const epoch = BigInt(written["pgreplica.epoch"] ?? "0");
  state.serial = BigInt(written[SERIAL] ?? "0");
  return {
    upstream: upstream > 0 ? { nodeId: upstream, epoch } : undefined,
    listen: (written.listen_addresses ?? "") !== "",
    gate: written["pgreplica.gate"] === "open" ? "open" : "closed",
    standbyNames: written.synchronous_standby_names ?? "",
  };
}

async function textOf(path: string): Promise<string> {
  return (await exists(path)) ? readFile(path, "utf8") : "";
}
