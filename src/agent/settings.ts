/** Our settings and login rules of the data server, and the proof that a running one has taken them. */
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { waitUntil } from "../clock/clock.ts";
import { nodePassword } from "../config/secrets.ts";
import { dialTls, libpqTls } from "../config/tls.ts";
import { joinerName, nodeRole, slotName, standbyName } from "../core/ids.ts";
import { showSettings } from "../db/data-standby.ts";
import type { AgentView } from "../db/node.ts";
import {
  exists,
  makeDirectory,
  replaceFile,
  syncDirectory,
  writeDurable,
} from "../postgres/files.ts";
import {
  type HbaLine,
  type MemberType,
  memberRules,
  memberType,
  renderHba,
} from "../postgres/hba.ts";
import { identFile, socketRule } from "../postgres/ident.ts";
import {
  foreignVersion,
  overriddenSettings,
  readSettings,
  replaceSettings,
  type Settings,
  tlsSettings,
  writeSettings,
} from "../postgres/settings.ts";
import {
  type Agent,
  type DataConfig,
  freshConnection,
  placeOf,
  type Upstream,
  type Wanted,
} from "./context.ts";
import { copiesSlotsItself, logicalSettings } from "./logical-settings.ts";
import { restOf, tellsRest } from "./processes.ts";

/** How soon a standby tries again to stream: while its upstream is new, which may be promoting; and afterwards. */
const RETRY = "20ms";
const SETTLED_RETRY = "200ms";

export class SettingIsOurs extends Error {
  override readonly name = "SettingIsOurs";
}

/** Defaults an operator may change in `data.settings`. */
export const DEFAULTS: Settings = {
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
  const commit = settings.synchronous_commit;
  if (commit === undefined || commit === "on" || commit === "remote_apply") return;
  throw new SettingIsOurs(
    `data.settings.synchronous_commit: ${commit}: expected on or remote_apply; ` +
      "anything weaker acknowledges what a failover may lose (H14)",
  );
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
    wal_retrieve_retry_interval: 0,
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
  const { upstream } = wanted;
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
    synchronous_commit: data.settings.synchronous_commit ?? "on",
    primary_conninfo: upstream === undefined ? "" : connectionTo(agent, view, upstream),
    primary_slot_name: upstream === undefined ? "" : slotName(config.node.id),
    wal_retrieve_retry_interval: upstream?.settled ? SETTLED_RETRY : RETRY,
    ...logicalSettings(agent),
    ...tlsSettings(config),
    "pgreplica.control_socket": join(config.dir, "run", "control"),
    "pgreplica.control_port": config.control.port,
    "pgreplica.control_uri": `postgresql://postgres@${config.control.host}:${config.control.port}/postgres`,
    "pgreplica.epoch": String(upstream?.epoch ?? ""),
    "pgreplica.upstream": String(upstream?.nodeId ?? ""),
    "pgreplica.upstream_as": upstream?.as ?? "",
    "pgreplica.gate": wanted.gate,
    [SERIAL]: serial.toString(),
  };
}

/** The password stands in a file only the server reads, not in a setting that superusers and logs show. */
function connectionTo(agent: Agent, view: AgentView, { nodeId, as }: Upstream): string {
  const member = view.members.find(({ node_id }) => node_id === nodeId);
  if (member === undefined || member.data_host === null || member.data_port === null) {
    throw new Error(`node ${nodeId} has no data server to stream from`);
  }
  const words = {
    host: member.data_host,
    port: member.data_port,
    user: nodeRole(agent.config.node.id),
    passfile: agent.paths.passFile,
    ...libpqTls(dialTls(agent.config)),
    application_name: (as === "member" ? standbyName : joinerName)(
      agent.config.node.id,
      view.incarnation,
    ),
    connect_timeout: 2,
    keepalives_idle: 1,
    keepalives_interval: 1,
    keepalives_count: 3,
    tcp_user_timeout: 3000,
    // Whoever copies slots from there logs in to a database (H45).
    ...(copiesSlotsItself(agent) ? { dbname: "postgres" } : {}),
  };
  return Object.entries(words)
    .map(([name, value]) => `${name}='${String(value).replaceAll(/['\\]/g, "\\$&")}'`)
    .join(" ");
}

/**
 * Who may log in: always we, over the socket, and members, to stream, to compare their history and to rewind: the loser
 * must be able to before the gate opens, which may wait for it. Everyone else comes through an open gate.
 */
export function hbaFor(
  gate: Wanted["gate"],
  clients: readonly string[],
  members: MemberType = "host",
): string {
  const ours: HbaLine[] = [
    socketRule("data"),
    ...memberRules(members, ["replication", "postgres"]),
  ];
  return renderHba(gate === "closed" ? ours : [...ours, ...clients]);
}

/** Folders, ident map and password file: what must stand before the server starts. */
export async function prepareFiles(
  agent: Pick<Agent, "config" | "owner" | "paths">,
): Promise<void> {
  const { config, owner, paths } = agent;
  for (const name of ["run", "log", "hba"]) {
    const path = join(config.dir, name);
    if (!(await exists(path))) await makeDirectory(path, { owner, mode: 0o755 });
  }
  await makeDirectory(paths.socketDir, { owner });
  const ident = identFile(config.runAs);
  if ((await textOf(paths.identFile)) !== ident)
    await writeDurable(paths.identFile, ident, { owner });
  const secret = nodePassword(config, config.node.id);
  await writeDurable(paths.passFile, `*:*:*:${nodeRole(config.node.id)}:${secret}\n`, { owner });
}

/** Write what is wanted, durably, under the next serial. A running server learns of it by `reloadProved`. */
export async function writeWanted(agent: Agent, wanted: Wanted): Promise<void> {
  agent.state.hba = undefined;
  agent.state.foreignSettings = undefined;
  await (await putWanted(agent, wanted))();
}

/**
 * The same up to where a server would read it; the function returned makes sure that no crash brings the old files
 * back. What has not changed is not written again: a failover waits for this.
 */
async function putWanted(agent: Agent, wanted: Wanted): Promise<() => Promise<unknown>> {
  const { owner, paths, state } = agent;
  const serial = state.serial + 1n;
  const hba = hbaFor(wanted.gate, agent.data.hba, memberType(agent.config));
  const settings = settingsFor(agent, wanted, serial);
  const folders = [paths.dataDir];
  if (wanted.upstream !== undefined) state.detached = undefined;
  const putHba = async () => {
    if (state.hba === hba) return;
    state.hba = undefined;
    await replaceFile(paths.hbaFile, hba, { owner });
    state.hba = hba;
    folders.push(dirname(paths.hbaFile));
  };
  // In any order: nobody reads them before the reload.
  await Promise.all([putHba(), putSettings(agent, settings)]);
  state.serial = serial;
  state.wanted = wanted;
  state.upstreamAt = wanted.upstream && placeOf(agent.view, wanted.upstream.nodeId);
  if (wanted.upstream?.settled === false) state.pointedAt = agent.clock.now();
  state.waitedSlots = settings.synchronized_standby_slots?.toString();
  return () => Promise.all(folders.map(syncDirectory));
}

/** Our include file; and, when somebody has touched the files around it, that it stands above them. */
async function putSettings(agent: Agent, settings: Settings): Promise<void> {
  const { owner, paths, state } = agent;
  const { dataDir } = paths;
  const known = state.foreignSettings;
  state.foreignSettings = undefined;
  if (known === undefined || known !== (await foreignVersion(dataDir))) {
    await stripOverrides(agent, settings);
    await writeSettings(dataDir, settings, owner);
    state.foreignSettings = await foreignVersion(dataDir);
  } else {
    await replaceSettings(dataDir, settings, owner);
    state.foreignSettings = known;
  }
}

/** Names of ours that ALTER SYSTEM overrides now. */
export async function overriddenNow(agent: Agent): Promise<string[]> {
  const settings = settingsFor(agent, currentWanted(agent), agent.state.serial);
  return overriddenSettings(agent.paths.dataDir, namesOfOurs(settings));
}

function namesOfOurs(settings: Settings): string[] {
  return Object.keys(settings).filter((name) => !(name in DEFAULTS));
}

/** `alter system`, and a base backup's source, write a file that outranks ours: our names leave it. */
async function stripOverrides({ paths, owner }: Agent, settings: Settings): Promise<void> {
  const overridden = new Set(await overriddenSettings(paths.dataDir, namesOfOurs(settings)));
  if (overridden.size === 0) return;
  const path = join(paths.dataDir, "postgresql.auto.conf");
  const lines = (await textOf(path)).split("\n");
  const kept = lines.filter((line) => {
    const name = /^\s*([\w.]+)/.exec(line)?.[1];
    return name === undefined || !overridden.has(name.toLowerCase());
  });
  await writeDurable(path, kept.join("\n"), { owner });
}

const RELOAD_LIMIT_MS = 5000;
/** A postmaster that is never seen asleep has too much to do for that: a new backend is asked. */
const REST_LIMIT_MS = 100;

/**
 * Signal the postmaster and prove that it has taken the files, login rules included. It hands the signal on to its
 * children once it has read the settings, so one that shows the new serial is half of the proof; the other half is that
 * the postmaster, which reads all files in one go, sleeps again with no signal pending: whatever it forks from now on
 * goes by them. Where processes do not tell, a backend forked afterwards is asked (H17). Returns what was shown.
 */
export async function reloadProved(agent: Agent, signal?: AbortSignal) {
  const { state, clock } = agent;
  const { server, serial } = state;
  if (server === undefined) throw new Error("no data server to reload");
  server.reload();
  const wait = { clock, everyMs: 2, limitMs: RELOAD_LIMIT_MS, ...(signal && { signal }) };
  const started = clock.now();
  return waitUntil("new settings in a backend", wait, async () => {
    const byRest = tellsRest && clock.now() - started < REST_LIMIT_MS;
    const shown = byRest ? await shownByOurs(agent) : await shownByNew(agent);
    if (shown.serial !== serial.toString()) return undefined;
    return (!byRest || restOf(server.pid).asleep) && shown;
  });
}

async function shownByOurs(agent: Agent) {
  const { db, pid } = await agent.hands.get();
  return { ...(await showSettings(db)), pid };
}

/** By a new backend: what it shows is what the postmaster holds (H17). */
export async function shownByNew(agent: Agent) {
  const fresh = await freshConnection(agent);
  try {
    return { ...(await showSettings(fresh.db)), pid: fresh.pid };
  } finally {
    fresh.end();
  }
}

/** Change some of what is wanted on a running server, proved, and durable by then. */
export async function change(agent: Agent, part: Partial<Wanted>, signal?: AbortSignal) {
  const sync = await putWanted(agent, { ...currentWanted(agent), ...part });
  const [shown] = await Promise.all([reloadProved(agent, signal), sync()]);
  return shown;
}

export function currentWanted(agent: Agent): Wanted {
  return agent.state.wanted ?? aloneWanted(agent);
}

/** From nobody, for nobody: how a server runs, or lies there, before anything is proved of it. */
export function aloneWanted({ view }: Agent): Wanted {
  return { upstream: undefined, listen: false, gate: "closed", standbyNames: view.standby_names };
}

/** What the files of a server that runs already say; for its adoption. */
export async function readWanted({ paths, state }: Agent): Promise<Wanted> {
  const written = await readSettings(paths.dataDir);
  const upstream = Number(written["pgreplica.upstream"] ?? "");
  const epoch = BigInt(written["pgreplica.epoch"] ?? "0");
  state.serial = BigInt(written[SERIAL] ?? "0");
  return {
    upstream:
      upstream > 0
        ? {
            nodeId: upstream,
            epoch,
            as: written["pgreplica.upstream_as"] === "joiner" ? "joiner" : "member",
            settled: written.wal_retrieve_retry_interval === SETTLED_RETRY,
          }
        : undefined,
    listen: (written.listen_addresses ?? "") !== "",
    gate: written["pgreplica.gate"] === "open" ? "open" : "closed",
    standbyNames: written.synchronous_standby_names ?? "",
  };
}

async function textOf(path: string): Promise<string> {
  return (await exists(path)) ? readFile(path, "utf8") : "";
}
