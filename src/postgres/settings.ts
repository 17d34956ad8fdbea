/**
 * Our settings in a data directory: an include file that stands last, and the file that makes a
 * standby.
 */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { tlsFilesIn } from "../config/tls.ts";
import { exists, isMissing, replaceFile, writeDurable } from "./files.ts";
import type { Owner } from "./owner.ts";

/** Setting to value; a number is in the setting's own unit. */
export type Settings = Readonly<Record<string, string | number | boolean>>;

/** Of a server that takes TLS, by the files that the worker keeps; none where none was asked for. */
export function tlsSettings({
  dir,
  tls,
}: {
  readonly dir: string;
  readonly tls?: object;
}): Settings {
  if (tls === undefined) return {};
  const { ca, cert, key } = tlsFilesIn(dir);
  return {
    ssl: true,
    ssl_ca_file: ca,
    ssl_cert_file: cert,
    ssl_key_file: key,
    ssl_min_protocol_version: "TLSv1.2",
  };
}

export class BadSetting extends Error {
  override readonly name = "BadSetting";
}

const OURS = "pgreplica.conf";
const INCLUDE = `include '${OURS}'`;
const INCLUDE_LINE = /^\s*include(_if_exists)?\s*=?\s*'?pgreplica\.conf'?\s*(#.*)?$/i;
const NAME = /^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)*$/;

/**
 * Replace our include file, durably, and make `postgresql.conf` end with it, so that it overrides
 * every line there. The server learns of it by reload or start. Throws `BadSetting` on a name or
 * value no file can hold.
 */
export async function writeSettings(
  dataDir: string,
  settings: Settings,
  owner: Owner | undefined,
): Promise<void> {
  await writeDurable(join(dataDir, OURS), renderSettings(settings), { owner });
  await ensureIncluded(dataDir, owner);
}

/**
 * Our include file alone, seen at once, and on disk for certain once `dataDir` is synced. For a server that runs and
 * must change soon: whether the file is included, and whether others outrank it, is asked by `foreignVersion`.
 */
export function replaceSettings(
  dataDir: string,
  settings: Settings,
  owner: Owner | undefined,
): Promise<void> {
  return replaceFile(join(dataDir, OURS), renderSettings(settings), { owner });
}

/**
 * Changes whenever one of the two files did that others write: the one that includes ours, and the one that outranks
 * it.
 */
export async function foreignVersion(dataDir: string): Promise<string> {
  const versions = await Promise.all(
    ["postgresql.conf", "postgresql.auto.conf"].map((name) => versionOf(join(dataDir, name))),
  );
  return versions.join(" ");
}

/** Another text whenever the file became another. */
export async function versionOf(path: string): Promise<string> {
  try {
    const { ino, size, ctimeNs } = await stat(path, { bigint: true });
    return `${ino}:${size}:${ctimeNs}`;
  } catch (error) {
    if (isMissing(error)) return "absent";
    throw error;
  }
}

/** What `writeSettings` wrote last; empty before the first time. */
export async function readSettings(dataDir: string): Promise<Record<string, string>> {
  return parseSettings(await textOf(join(dataDir, OURS)));
}

/** Whether a server that runs by the settings in its folder has the addresses it should: it took them at its start. */
export async function listensAt(
  dataDir: string,
  { listen, port }: { readonly listen: string; readonly port: number },
): Promise<boolean> {
  const { port: written = String(port), listen_addresses: addresses = "" } =
    await readSettings(dataDir);
  return written === String(port) && (addresses === "" || addresses === listen);
}

/**
 * Names of `ours` that `postgresql.auto.conf` overrides (ALTER SYSTEM writes it, a base backup
 * brings its source's): PostgreSQL reads it after everything else, so these values of ours are not
 * in force.
 */
export async function overriddenSettings(
  dataDir: string,
  ours: Iterable<string>,
): Promise<string[]> {
  const theirs = parseSettings(await textOf(join(dataDir, "postgresql.auto.conf")));
  return [...ours].filter((name) => name.toLowerCase() in theirs);
}

/**
 * Whoever starts this data directory gets a read-only server (H40). Durable; present already is
 * fine.
 */
export async function putStandbySignal(dataDir: string, owner: Owner | undefined): Promise<void> {
  await writeDurable(join(dataDir, "standby.signal"), "", { owner });
}

export function hasStandbySignal(dataDir: string): Promise<boolean> {
  return exists(join(dataDir, "standby.signal"));
}

/** The file's text, one `name = 'value'` a line. */
export function renderSettings(settings: Settings): string {
  const lines = Object.entries(settings).map(([name, value]) => {
    if (!NAME.test(name))
      throw new BadSetting(`not the name of a setting: ${JSON.stringify(name)}`);
    return `${name} = ${quote(name, value)}\n`;
  });
  return ["# Written by pg_replica: changes are overwritten.\n", ...lines].join("");
}

/**
 * In a configuration file a backslash escapes, a quote is doubled, and a line break may not stand
 * raw.
 */
function quote(name: string, value: string | number | boolean): string {
  if (typeof value === "boolean") return value ? "on" : "off";
  const text = String(value);
  if (text.includes("\0")) throw new BadSetting(`${name}: a value cannot hold a zero byte`);
  const escaped = text
    .replaceAll("\\", "\\\\")
    .replaceAll("'", "''")
    .replaceAll("\n", "\\n")
    .replaceAll("\r", "\\r");
  return `'${escaped}'`;
}

const LINE = /^\s*([A-Za-z_][\w$.]*)\s*=?\s*(?:'((?:[^'\\]|\\.|'')*)'|([^\s#']+))\s*(?:#.*)?$/;
const ESCAPES: Readonly<Record<string, string>> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

/** Settings of one file, names in lower case; the last line of a name wins. */
function parseSettings(text: string): Record<string, string> {
  const settings: Record<string, string> = Object.create(null);
  for (const line of text.split("\n")) {
    const [, name, quoted, bare] = LINE.exec(line) ?? [];
    if (name !== undefined) settings[name.toLowerCase()] = bare ?? unquote(quoted ?? "");
  }
  return settings;
}

function unquote(text: string): string {
  return text.replace(/''|\\([0-7]{1,3}|.)/g, (_, code?: string) => {
    if (code === undefined) return "'";
    if (/^[0-7]/.test(code)) return String.fromCharCode(Number.parseInt(code, 8));
    return ESCAPES[code] ?? code;
  });
}

async function ensureIncluded(dataDir: string, owner: Owner | undefined): Promise<void> {
  const path = join(dataDir, "postgresql.conf");
  const before = await textOf(path);
  const kept = before.split("\n").filter((line) => !INCLUDE_LINE.test(line));
  const after = `${kept.join("\n").trimEnd()}\n${INCLUDE}\n`.trimStart();
  if (after !== before) await writeDurable(path, after, { owner });
}

/** A base backup of a server configured elsewhere brings no such file: that is an empty one. */
async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (isMissing(error)) return "";
    throw error;
  }
}
