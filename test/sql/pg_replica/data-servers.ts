/** Data servers that know a control store: a primary, and a standby without an upstream. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { monotonicClock } from "../../../src/clock/clock.ts";
import { install } from "../../../src/db/install.ts";
import { findBinaries } from "../../../src/postgres/binaries.ts";
import { startServer, waitReady } from "../../../src/postgres/server.ts";
import { putStandbySignal, writeSettings } from "../../../src/postgres/settings.ts";
import { openScratch, type Scratch, type ScratchServer } from "../../support/scratch.ts";
import { another, elect, lead, openStore, type Store, threeMembers } from "./stores.ts";

/** For a test file: a control store of three members that leads, and a primary and a standby that know it. */
export function useDataServers(name: string, uri: string) {
  let scratch: Scratch;
  let store: Store;
  let primary: ScratchServer;
  let standby: ScratchServer;
  const working: { stop(): Promise<void> }[] = [];
  const clients: pg.Client[] = [];

  beforeAll(async () => {
    scratch = await openScratch(name);
    store = await openStore(scratch, 1);
    primary = await openDataServer(scratch, store, uri);
    standby = await asStandby(scratch, await openDataServer(scratch, store, uri));
  }, 90_000);
  beforeEach(async () => {
    await threeMembers([store]);
    await elect([store], 1);
  });
  afterEach(async () => {
    for (const worker of working.splice(0)) await worker.stop();
    for (const client of clients.splice(0)) await client.end();
  });
  afterAll(() => scratch.close());

  return {
    get scratch() {
      return scratch;
    },
    get store() {
      return store;
    },
    get primary() {
      return primary;
    },
    get standby() {
      return standby;
    },
    /** Until the test ends. */
    login: async (server: ScratchServer, user = "postgres"): Promise<pg.Client> => {
      const client = await another({ server }, user);
      clients.push(client);
      return client;
    },
    /** A worker that leads until the test ends; its coordinator decides this. */
    lead: (decide?: Parameters<typeof lead>[2]) => {
      working.push(lead(store, [store], decide));
    },
  };
}

/** With our functions and a role `alice`, who may do all. */
async function openDataServer(scratch: Scratch, store: Store, uri: string): Promise<ScratchServer> {
  const server = await scratch.start();
  const db = await server.connect();
  await install(db, "data");
  await db.query("create role alice login in role pgreplica_admin");
  await writeSettings(
    server.server.dataDir,
    {
      "pgreplica.control_socket": store.server.host,
      "pgreplica.control_port": store.server.port,
      "pgreplica.control_uri": uri,
    },
    scratch.owner,
  );
  return server;
}

/** Stopped cleanly and started again as a standby without an upstream. */
async function asStandby(scratch: Scratch, one: ScratchServer): Promise<ScratchServer> {
  const { dataDir } = one.server;
  await one.server.stop("fast", 20_000);
  await putStandbySignal(dataDir, scratch.owner);
  const hba = join(scratch.dir, "hba.conf");
  await writeFile(hba, "local all all trust\n");
  const settings = {
    listen_addresses: "",
    port: one.port,
    unix_socket_directories: one.host,
    hba_file: hba,
  };
  const server = await startServer({
    binaries: await findBinaries({ owner: scratch.owner, copyEmbeddedTo: join(scratch.dir, "pg") }),
    dataDir,
    owner: scratch.owner,
    logFile: join(scratch.dir, "scratch.log"),
    args: Object.entries(settings).flatMap(([key, value]) => ["-c", `${key}=${value}`]),
  });
  await waitReady(server, { clock: monotonicClock, limitMs: 20_000 });
  return { ...one, server };
}
