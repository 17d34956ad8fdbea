/**
 * `owner.ts`, `binaries.ts`, `initdb.ts` of src/postgres, and `src/db/install.ts`: programs and schemas that
 * are there.
 */
import { PgData, SEGMENT } from "../model/wal.ts";
import { world } from "../world.ts";

export interface Owner {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}
export class UnknownOwner extends Error {}
export async function serverOwner(): Promise<undefined> {
  return undefined;
}

export class BinariesNotFound extends Error {}
export async function findBinaries() {
  return {
    dir: "/usr/bin",
    major: 17,
    version: "17.0",
    embedded: false,
    program: (name: string) => `/usr/bin/${name}`,
  };
}

export async function initdb(_binaries: unknown, { dir }: { readonly dir: string }): Promise<void> {
  const { engine, files } = world();
  await engine.sleep(engine.random("disk").between(200, 900), "initdb");
  const data = new PgData(String(7_000_000_000_000 + engine.random("uuid").below(1_000_000)));
  data.append("boot", 1024);
  data.checkpointLsn = data.end();
  data.oldest = SEGMENT;
  files.write(`${dir}/PG_VERSION`, "17\n");
  files.write(`${dir}/global/pg_control`, "", data);
  files.makeFolder(`${dir}/pg_wal`);
  files.write(`${dir}/postgresql.conf`, "");
}

export async function install(): Promise<void> {}
export class InstallRefused extends Error {}
