/** Data servers that know a control store: a primary, and a standby without an upstream. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { monotonicClock } from "../../../src/clock/clock.ts";
import { install } from "../../../src/db/install.ts";
import { findBinaries } from "../../../src/postgres/binaries.ts";
import { startServer, waitReady } from "../../../src/postgres/server.ts";
import { putStandbySignal, writeSettings } from "../../../src/postgres/settings.ts";
import type { Scratch, ScratchServer } from "../../support/scratch.ts";
import type { Store } from "./stores.ts";

/** With our functions and a role `alice`, who may do all. */
export async function openDataServer(
  scratch: Scratch,
  store: Store,
  uri: string,
): Promise<ScratchServer> {
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
export async function asStandby(scratch: Scratch, one: ScratchServer): Promise<ScratchServer> {
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
