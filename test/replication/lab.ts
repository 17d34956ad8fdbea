/** Real servers for these tests, of every PostgreSQL that is at hand, in folders of their own. */
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monotonicClock, waitUntil } from "../../src/clock/clock.ts";
import { parseLsn } from "../../src/core/ids.ts";
import { type Binaries, findBinaries } from "../../src/postgres/binaries.ts";
import { initdb } from "../../src/postgres/initdb.ts";
import { type Owner, serverOwner } from "../../src/postgres/owner.ts";
import { type Server, startServer, waitReady } from "../../src/postgres/server.ts";
import { type Connection, connect } from "../../src/replication/connection.ts";
import { freePorts } from "../support/ports.ts";
import { mustRun } from "../support/programs.ts";

export const clock = monotonicClock;

/** What one statement answers, as text; several statements give the last one's rows. */
export type Rows = readonly (readonly (string | null)[])[];

export interface LabServer {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly dir: string;
  readonly process: Server;
  sql(text: string): Promise<Rows>;
  /** The first column of the first row. */
  value(text: string): Promise<string>;
}

export interface Lab {
  readonly binaries: Binaries;
  readonly owner: Owner | undefined;
  /** A path below the lab's folder; nothing is made. */
  path(name: string): string;
  /** An empty folder that the servers' owner can use. */
  folder(name: string): Promise<string>;
  /** initdb and start; `hba` replaces the default of trusting this host. */
  primary(name: string, settings?: Settings, hba?: string): Promise<LabServer>;
  /** Start what a base backup left, following `source`. */
  standby(dir: string, source: LabServer, settings?: Settings): Promise<LabServer>;
  start(dir: string, settings?: Settings, hba?: string): Promise<LabServer>;
  close(): Promise<void>;
}

type Settings = Readonly<Record<string, string | number>>;

const LIMIT_MS = 20_000;
const SMALL: Settings = { shared_buffers: "16MB", max_wal_size: "96MB", min_wal_size: "32MB" };

/** The installed PostgreSQL and the embedded one; one of them when that is all there is. */
export async function flavours(): Promise<{ name: string; binDir: string | undefined }[]> {
  const owner = await serverOwner("postgres");
  const first = await findBinaries({ owner, copyEmbeddedTo: join(tmpdir(), "pgr-embedded") });
  const installed = { name: `PostgreSQL ${first.version}`, binDir: first.dir };
  const embedded = { name: "embedded PostgreSQL", binDir: "embedded" };
  return first.embedded ? [embedded] : [installed, embedded];
}

export async function openLab(binDir: string | undefined): Promise<Lab> {
  const owner = await serverOwner("postgres");
  const root = await mkdtemp(join(tmpdir(), "pgr-replication-"));
  if (owner !== undefined) await chown(root, owner.uid, owner.gid);
  const binaries = await findBinaries({ binDir, owner, copyEmbeddedTo: join(root, "pg") });
  const running: LabServer[] = [];
  const path = (name: string) => join(root, name);
  const start = async (dir: string, settings: Settings = {}, hba?: string) => {
    const server = await startIn(dir, { binaries, owner, root, settings, hba });
    running.push(server);
    return server;
  };
  return {
    binaries,
    owner,
    path,
    start,
    folder: async (name) => {
      await mkdir(path(name), { mode: 0o700 });
      if (owner !== undefined) await chown(path(name), owner.uid, owner.gid);
      return path(name);
    },
    primary: async (name, settings, hba) => {
      await initdb(binaries, { dir: path(name), owner });
      return start(path(name), settings, hba);
    },
    standby: async (dir, source, settings = {}) => {
      await writeFile(join(dir, "standby.signal"), "");
      const conninfo = `host=${source.host} port=${source.port} user=${source.user}`;
      return start(dir, { primary_conninfo: conninfo, ...settings });
    },
    close: async () => {
      for (const { process } of running)
        if (process.alive()) await process.stop("immediate", LIMIT_MS);
      await rm(root, { recursive: true, force: true });
    },
  };
}

interface StartIn {
  readonly binaries: Binaries;
  readonly owner: Owner | undefined;
  readonly root: string;
  readonly settings: Settings;
  readonly hba: string | undefined;
}

async function startIn(dir: string, { binaries, owner, root, settings, hba }: StartIn) {
  const port = Number(settings.port ?? (await freePorts(1))[0]);
  const hbaFile = `${dir}.hba`;
  const trust = "local all all trust\nhost all,replication all 127.0.0.1/32 trust\n";
  await writeFile(hbaFile, hba ?? trust, { mode: 0o644 });
  const all = {
    port,
    listen_addresses: "127.0.0.1",
    unix_socket_directories: root,
    hba_file: hbaFile,
    ...SMALL,
    ...settings,
  };
  const args = Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const process = await startServer({ binaries, dataDir: dir, owner, logFile: `${dir}.log`, args });
  await waitReady(process, { clock, limitMs: LIMIT_MS });
  const socket = { host: root, port, user: "postgres", clock };
  const sql = (text: string) => once(socket, (to) => rowsOf(to, text));
  const value = async (text: string) => (await sql(text))[0]?.[0] ?? "";
  return { host: "127.0.0.1", port, user: "postgres", dir, process, sql, value };
}

/** A connection for one piece of work. */
export async function once<T>(
  target: Parameters<typeof connect>[0],
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = await connect(target);
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
}

export async function rowsOf(connection: Connection, text: string): Promise<Rows> {
  const results = await connection.query(text);
  return results.at(-1)?.rows ?? [];
}

/** The standby has replayed everything the primary has written by now. */
export async function caughtUp(standby: LabServer, primary: LabServer): Promise<void> {
  const goal = parseLsn(await primary.value("select pg_current_wal_flush_lsn()"));
  const wait = { clock, everyMs: 20, limitMs: LIMIT_MS };
  await waitUntil(`replay of ${standby.dir}`, wait, async () => {
    const at = await standby.value("select coalesce(pg_last_wal_replay_lsn(), '0/0')");
    return parseLsn(at) >= goal;
  });
}

/** What the server said so far. */
export const logOf = (server: Pick<LabServer, "dir">): Promise<string> =>
  readFile(`${server.dir}.log`, "utf8");

/** The server takes TLS from here on, by a certificate of its own for 127.0.0.1, which is returned. Needs openssl. */
export async function serveTls(lab: Lab, server: LabServer): Promise<string> {
  const [key, cert] = [lab.path("server.key"), lab.path("server.crt")];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"];
  const made = ["-new", "-x509", "-nodes", "-days", "2", "-keyout", key, "-out", cert];
  await mustRun("openssl", ["req", ...made, ...subject]);
  await chmod(key, 0o600);
  if (lab.owner !== undefined) await chown(key, lab.owner.uid, lab.owner.gid);
  await chmod(cert, 0o644);
  await server.sql(`alter system set ssl_key_file = '${key}'`);
  await server.sql(`alter system set ssl_cert_file = '${cert}'`);
  await server.sql("alter system set ssl = on");
  await server.sql("select pg_reload_conf()");
  return await readFile(cert, "utf8");
}
