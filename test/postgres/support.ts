/** Data directories and servers for these tests: made in a temporary folder, ended by pid. */
import { mkdtemp, realpath, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { vi } from "vitest";
import { monotonicClock, waitUntil } from "../../src/clock/clock.ts";
import { type Binaries, findBinaries } from "../../src/postgres/binaries.ts";
import { fence } from "../../src/postgres/fence.ts";
import { makeDirectory, writeDurable } from "../../src/postgres/files.ts";
import { initdb } from "../../src/postgres/initdb.ts";
import { serverOwner } from "../../src/postgres/owner.ts";
import { runProgram } from "../../src/postgres/run.ts";
import { type Server, startServer, waitReady } from "../../src/postgres/server.ts";
import { type Settings, writeSettings } from "../../src/postgres/settings.ts";

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

export const clock = monotonicClock;
export const owner = await serverOwner("postgres");

/** Everything one test file makes lives below one folder. */
export const workDir = await realpath(await mkdtemp(join(tmpdir(), "pg-replica-test-")));
await makeDirectory(workDir, { owner, mode: 0o755 });

export const embedded = await findBinaries({
  binDir: "embedded",
  owner,
  copyEmbeddedTo: join(workDir, "embedded"),
});
/** The installed PostgreSQL where there is one. */
export const installed = await findBinaries({ owner, copyEmbeddedTo: join(workDir, "embedded") });

const made: { dataDir: string; binaries: Binaries; port: number }[] = [];
const templates = new Map<string, Promise<string>>();

export async function cleanUp(): Promise<void> {
  const ends = made.splice(0).map((each) => fence({ ...each, clock, limitMs: 5000 }));
  const failed = (await Promise.allSettled(ends)).filter(({ status }) => status === "rejected");
  await rm(workDir, { recursive: true, force: true });
  if (failed.length > 0) throw new AggregateError(failed, "servers of this test are left");
}

export interface Place {
  readonly binaries: Binaries;
  readonly dataDir: string;
  readonly port: number;
  readonly logFile: string;
  readonly owner: typeof owner;
}

/** A fresh data directory, copied from one `initdb` for each version. */
export async function newPlace(binaries: Binaries, settings: Settings = {}): Promise<Place> {
  const template = templates.get(binaries.version) ?? initialised(binaries);
  templates.set(binaries.version, template);
  const dataDir = join(workDir, `data${made.length}`);
  await runProgram("cp", ["-a", await template, dataDir], { owner, limitMs: 30_000 });
  const port = await freePort();
  const common = { listen_addresses: "127.0.0.1", unix_socket_directories: "", port };
  await writeSettings(dataDir, { ...common, shared_buffers: "8MB", ...settings }, owner);
  await writeDurable(join(dataDir, "pg_hba.conf"), "host all all 127.0.0.1/32 trust\n", { owner });
  made.push({ dataDir, binaries, port });
  return { binaries, dataDir, port, logFile: `${dataDir}.log`, owner };
}

export async function startReady(place: Place): Promise<Server> {
  const server = await startServer(place);
  await waitReady(server, { clock, limitMs: 15_000 });
  return server;
}

export async function connectTo({ port }: Place): Promise<pg.Client> {
  const client = new pg.Client({ host: "127.0.0.1", port, user: "postgres", database: "postgres" });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

/** A backend that computes for ever: it never looks whether its postmaster is alive (H05). */
export async function spinningBackend(place: Place): Promise<{ pid: number; client: pg.Client }> {
  const client = await connectTo(place);
  const { rows } = await client.query("select pg_backend_pid() as pid");
  client.query("do $$ begin loop perform 1; end loop; end $$").catch(() => undefined);
  const watcher = await connectTo(place);
  await eventually("the backend spins", async () => {
    const seen = await watcher.query("select state from pg_stat_activity where pid = $1", [
      rows[0].pid,
    ]);
    return seen.rows[0].state === "active";
  });
  await watcher.end();
  return { pid: rows[0].pid, client };
}

export function eventually<T>(
  name: string,
  check: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  return waitUntil(name, { clock, everyMs: 5, limitMs: 10_000 }, check);
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

async function initialised(binaries: Binaries): Promise<string> {
  const dir = join(workDir, `template-${binaries.version}`);
  await initdb(binaries, { dir, owner, walSegmentMb: 1 });
  return dir;
}
