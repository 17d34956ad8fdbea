/** Plain PostgreSQL servers without us: the control group of benchmarks, and something to try a client on. */
import { type ChildProcess, spawn } from "node:child_process";
import { chown, mkdir, open as openFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { tail, temporaryFolder } from "./cluster.ts";
import { freePorts } from "./ports.ts";
import { exitOf, mustRun, needProgram } from "./programs.ts";
import { rows, value } from "./sql.ts";
import { NotYet, until } from "./until.ts";

export interface PlainServer {
  readonly uri: string;
  readonly port: number;
  readonly dir: string;
  readonly pid: number;
  /** SIGQUIT unless another signal is given, wait for the exit. */
  stop(signal?: "SIGQUIT" | "SIGINT"): Promise<void>;
}

export interface PlainCluster {
  /** The primary first. */
  readonly servers: readonly PlainServer[];
  readonly primary: PlainServer;
  /** Stop the servers cleanly, their data stays. */
  halt(): Promise<void>;
  /** Start them again, at the same places; resolves when the standbys confirm. */
  resume(): Promise<void>;
  /** Stop the servers, remove their data. */
  stop(): Promise<void>;
}

const PASSWORD = "plain";

interface User {
  readonly uid?: number;
  readonly gid?: number;
}

/** PostgreSQL refuses root: then the user `postgres` owns the servers. */
async function serverUser(): Promise<User> {
  if (process.getuid?.() !== 0) return {};
  const uid = Number(await mustRun("id", ["-u", "postgres"]));
  const gid = Number(await mustRun("id", ["-g", "postgres"]));
  return { uid, gid };
}

async function ownedFolder(path: string, { uid, gid }: User): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  if (uid !== undefined && gid !== undefined) await chown(path, uid, gid);
}

const hba = `local all all trust
host all all 127.0.0.1/32 scram-sha-256
host replication all 127.0.0.1/32 scram-sha-256
`;

/** initdb with checksums, SCRAM over TCP and the settings given. */
async function initialize(
  dir: string,
  { settings, segmentMb }: { readonly settings: readonly string[]; readonly segmentMb: number },
  user: User,
): Promise<void> {
  await ownedFolder(dir, user);
  const passwordFile = `${dir}.password`;
  await writeFile(passwordFile, PASSWORD, { mode: 0o644 });
  const args = ["-D", dir, "-U", "postgres", "--pwfile", passwordFile, "-k", "-E", "UTF8"];
  const more = ["--locale=C", "-A", "scram-sha-256", `--wal-segsize=${segmentMb}`];
  await mustRun(needProgram("initdb"), [...args, ...more], user);
  await writeFile(join(dir, "pg_hba.conf"), hba);
  await writeFile(join(dir, "postgresql.auto.conf"), `${settings.join("\n")}\n`);
  await rm(passwordFile);
}

async function startServer(dir: string, port: number, user: User): Promise<PlainServer> {
  const log = await openFile(`${dir}.log`, "a");
  const args = ["-D", dir, "-p", `${port}`, "-k", dirname(dir), "-h", "127.0.0.1"];
  const child: ChildProcess = spawn(needProgram("postgres"), args, {
    ...user,
    stdio: ["ignore", log.fd, log.fd],
  });
  await log.close();
  const uri = `postgresql://postgres:${PASSWORD}@127.0.0.1:${port}/postgres`;
  await until("the plain server answers", { limitMs: 20_000, everyMs: 10 }, async () => {
    if (child.exitCode !== null) return true;
    return (await value(uri, "select 1")) === "1";
  });
  if (child.exitCode !== null) throw new Error(`postgres ended:\n${await tail(`${dir}.log`)}`);
  const stop: PlainServer["stop"] = async (signal = "SIGQUIT") => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await exitOf(child);
  };
  return { uri, port, dir, pid: child.pid ?? 0, stop };
}

async function addStandby(
  primary: PlainServer,
  dir: string,
  port: number,
  user: User,
): Promise<PlainServer> {
  const name = `standby_${port}`;
  await ownedFolder(dir, user);
  await mustRun(
    needProgram("pg_basebackup"),
    [
      "-D",
      dir,
      "-d",
      `${primary.uri}?application_name=${name}`,
      "-c",
      "fast",
      "-X",
      "stream",
    ].concat(["-R", "-C", "-S", name]),
    { ...user, limitMs: 60_000 },
  );
  return await startServer(dir, port, user);
}

/**
 * A primary and `standbys` standbys that stream from it through slots, with `ANY k` in force when `confirmations` is
 * above 0. `settings` are lines of postgresql.conf.
 */
export async function startPlain(o: {
  readonly standbys: number;
  readonly confirmations: number;
  readonly settings?: readonly string[];
  /** Size of a WAL segment, megabytes. */
  readonly segmentMb?: number;
}): Promise<PlainCluster> {
  const user = await serverUser();
  const top = await temporaryFolder("plain");
  await ownedFolder(top, user);
  const ports = await freePorts(o.standbys + 1);
  const servers: PlainServer[] = [];
  const primaryNow = () => servers[0] as PlainServer;
  const stop = async () => {
    for (const server of servers.toReversed()) await server.stop();
    await rm(top, { recursive: true, force: true });
  };
  // The primary first: its last records reach the standbys.
  const halt = async () => {
    for (const server of servers) await server.stop("SIGINT");
  };
  const resume = async () => {
    for (const [place, { dir, port }] of servers.entries()) {
      servers[place] = await startServer(dir, port, user);
    }
    await untilConfirming(primaryNow(), o.confirmations === 0 ? 0 : o.standbys);
  };
  try {
    const settings = ["max_connections = 100", "hot_standby = on", ...(o.settings ?? [])];
    const { segmentMb = 16 } = o;
    await initialize(join(top, "primary"), { settings, segmentMb }, user);
    const primary = await startServer(join(top, "primary"), ports[0] ?? 0, user);
    servers.push(primary);
    for (const port of ports.slice(1)) {
      servers.push(await addStandby(primary, join(top, `standby_${port}`), port, user));
    }
    if (o.confirmations > 0) await requireConfirmations(primary, ports.slice(1), o.confirmations);
    return {
      servers,
      halt,
      resume,
      stop,
      get primary() {
        return primaryNow();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function requireConfirmations(
  primary: PlainServer,
  ports: readonly number[],
  confirmations: number,
): Promise<void> {
  const names = ports.map((port) => `standby_${port}`).join(", ");
  const rule = `ANY ${confirmations} (${names})`;
  await rows(primary.uri, `alter system set synchronous_standby_names = '${rule}'`);
  await rows(primary.uri, "select pg_reload_conf()");
  await untilConfirming(primary, ports.length);
}

async function untilConfirming(primary: PlainServer, standbys: number): Promise<void> {
  await until("the standbys confirm", { limitMs: 10_000, everyMs: 20 }, async () => {
    const sql = "select count(*) from pg_stat_replication where sync_state = 'quorum'";
    const count = await value(primary.uri, sql);
    if (Number(count) !== standbys) throw new NotYet(`${count} of ${standbys}`);
    return true;
  });
}
