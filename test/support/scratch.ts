/** Scratch PostgreSQL servers for tests of SQL: one initdb for each test file, a copy for each server. */
import { chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type pg from "pg";
import { monotonicClock } from "../../src/clock/clock.ts";
import { connect } from "../../src/db/connect.ts";
import { findBinaries } from "../../src/postgres/binaries.ts";
import { makeDirectory } from "../../src/postgres/files.ts";
import { initdb } from "../../src/postgres/initdb.ts";
import { type Owner, serverOwner } from "../../src/postgres/owner.ts";
import { type Server, startServer, waitReady } from "../../src/postgres/server.ts";
import { mustRun } from "./programs.ts";

const PORT = 5432;

export interface ScratchServer {
  /** The socket directory, which a client takes for a host. */
  readonly host: string;
  readonly port: number;
  readonly server: Server;
  /** A superuser's connection, to `postgres` unless told otherwise; ended with the server. */
  connect(database?: string): Promise<pg.Client>;
  stop(): Promise<void>;
}

export interface Scratch {
  /** Folder of the tests' own files; removed at the end. */
  readonly dir: string;
  readonly owner: Owner | undefined;
  start(): Promise<ScratchServer>;
  /** Stop every server, remove every file. */
  close(): Promise<void>;
}

/** A folder and a template of a data directory. Servers listen on a socket only and trust whoever reaches it. */
export async function openScratch(
  name: string,
  { binDir }: { readonly binDir?: string } = {},
): Promise<Scratch> {
  const owner = await serverOwner("postgres");
  const dir = await ownedTemporary(name, owner);
  const binaries = await findBinaries({ binDir, owner, copyEmbeddedTo: join(dir, "pg") });
  const template = join(dir, "template");
  await initdb(binaries, { dir: template, owner, walSegmentMb: 1 });
  const hba = join(dir, "hba.conf");
  await writeFile(hba, "local all all trust\n", { mode: 0o644 });
  const running: ScratchServer[] = [];
  const start = async (): Promise<ScratchServer> => {
    const dataDir = join(dir, `server${running.length + 1}`);
    const host = await ownedFolder(join(dir, `run${running.length + 1}`), owner);
    await mustRun("cp", ["-a", template, dataDir]);
    const settings = {
      listen_addresses: "",
      port: PORT,
      unix_socket_directories: host,
      hba_file: hba,
      shared_buffers: "8MB",
      fsync: "off",
      // As control stores have it: compiling costs more than queries on a few rows ever would.
      jit: "off",
    };
    const args = Object.entries(settings).flatMap(([key, value]) => ["-c", `${key}=${value}`]);
    const server = await startServer({
      binaries,
      dataDir,
      owner,
      logFile: join(dir, "scratch.log"),
      args,
    });
    await waitReady(server, { clock: monotonicClock, limitMs: 20_000 });
    const scratch = serve(server, host);
    running.push(scratch);
    return scratch;
  };
  const close = async () => {
    for (const one of running) await one.stop();
    await rm(dir, { recursive: true, force: true });
  };
  return { dir, owner, start, close };
}

function serve(server: Server, host: string): ScratchServer {
  const clients: pg.Client[] = [];
  return {
    host,
    port: PORT,
    server,
    connect: async (database = "postgres") => {
      const client = await connect({
        host,
        port: PORT,
        user: "postgres",
        database,
        applicationName: "test",
        connectLimitMs: 5000,
      });
      clients.push(client);
      return client;
    },
    stop: async () => {
      await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
      if (server.alive()) await server.stop("immediate", 10_000);
    },
  };
}

async function ownedTemporary(name: string, owner: Owner | undefined): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), `pgr-${name}-`));
  if (owner !== undefined) await chown(dir, owner.uid, owner.gid);
  return dir;
}

async function ownedFolder(path: string, owner: Owner | undefined): Promise<string> {
  await makeDirectory(path, { owner });
  return path;
}
