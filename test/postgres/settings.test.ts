import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { exists, makeDirectory } from "../../src/postgres/files.ts";
import {
  BadSetting,
  hasStandbySignal,
  overriddenSettings,
  putStandbySignal,
  readSettings,
  renderSettings,
  writeSettings,
} from "../../src/postgres/settings.ts";
import { cleanUp, connectTo, installed, newPlace, owner, startReady, workDir } from "./support.ts";

afterAll(cleanUp);

/** Each has once been the end of somebody's escaping. */
const AWKWARD = {
  "pgr.quote": "it's 'quoted' ''",
  "pgr.backslash": "C:\\new\\101 \\' \\\\",
  "pgr.break": "first\nsecond\r\nthird",
  "pgr.hash": "a # b = c",
  "pgr.empty": "",
  "pgr.unicode": "Grüße \u{1F418}",
};

test("a server reads every value exactly as it was meant", async () => {
  const place = await newPlace(installed, { ...AWKWARD, log_connections: true, work_mem: "5MB" });
  const server = await startReady(place);
  const client = await connectTo(place);
  for (const [name, value] of Object.entries(AWKWARD)) {
    const { rows } = await client.query("select current_setting($1) as value", [name]);
    expect(rows[0].value, name).toBe(value);
  }
  const { rows } = await client.query("show log_connections");
  expect(rows[0].log_connections).toBe("on");
  await client.end();
  await server.stop("immediate", 10_000);
});

test("what was written can be read back", async () => {
  const dataDir = await emptyDirectory("back");
  await writeSettings(dataDir, { ...AWKWARD, Port: 5432, fsync: true }, owner);
  expect(await readSettings(dataDir)).toEqual({ ...AWKWARD, port: "5432", fsync: "on" });
});

test("what cannot be a setting is refused before a file is touched", () => {
  expect(() => renderSettings({ "a = 'b'\nport": 1 })).toThrow(BadSetting);
  expect(() => renderSettings({ port: "1\0" })).toThrow(BadSetting);
});

test("the include stands once and last, however often it is written", async () => {
  const dataDir = await emptyDirectory("include");
  const path = join(dataDir, "postgresql.conf");
  await writeFile(
    path,
    "include 'pgreplica.conf'\nport = 1\n  INCLUDE_IF_EXISTS = 'pgreplica.conf' # x\nfsync = off",
  );
  await writeSettings(dataDir, { port: 2 }, owner);
  expect(await readFile(path, "utf8")).toBe("port = 1\nfsync = off\ninclude 'pgreplica.conf'\n");

  const { ino } = await stat(path);
  await writeSettings(dataDir, { port: 3 }, owner);
  expect((await stat(path)).ino).toBe(ino);
  expect(await readSettings(dataDir)).toEqual({ port: "3" });
});

test("the files belong to the servers' owner and to nobody else", async () => {
  const dataDir = await emptyDirectory("owned");
  await writeSettings(dataDir, { port: 2 }, owner);
  for (const name of ["postgresql.conf", "pgreplica.conf"]) {
    const { mode, uid } = await stat(join(dataDir, name));
    expect(mode & 0o777).toBe(0o600);
    expect(uid).toBe(owner?.uid ?? process.getuid?.());
  }
});

test("a value that ALTER SYSTEM overrides is reported by name", async () => {
  const place = await newPlace(installed);
  const server = await startReady(place);
  const client = await connectTo(place);
  await client.query("alter system set primary_conninfo = 'host=''elsewhere'''");
  await client.query("alter system set work_mem = '7MB'");
  await client.end();
  await server.stop("immediate", 10_000);
  const ours = ["primary_conninfo", "port", "Work_Mem"];
  expect(await overriddenSettings(place.dataDir, ours)).toEqual(["primary_conninfo", "Work_Mem"]);
});

test("a standby.signal can be put, and put again", async () => {
  const dataDir = await emptyDirectory("standby");
  expect(await hasStandbySignal(dataDir)).toBe(false);
  await putStandbySignal(dataDir, owner);
  await putStandbySignal(dataDir, owner);
  expect(await hasStandbySignal(dataDir)).toBe(true);
});

async function emptyDirectory(name: string): Promise<string> {
  const dir = join(workDir, name);
  await makeDirectory(dir, { owner });
  expect(await exists(join(dir, "postgresql.conf"))).toBe(false);
  return dir;
}
