/** Where a demo lives: its options, its folder, and proof that the folder is its own. */
import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { exists, hasCode, isMissing, makeDirectory, writeDurable } from "../../postgres/files.ts";
import type { Owner } from "../../postgres/owner.ts";
import { CommandFailed } from "../command.ts";

/** What was asked for; undefined means the default, or what the folder was made with. */
export interface Asked {
  readonly nodes: number | undefined;
  readonly port: number | undefined;
  readonly dir: string | undefined;
  /** False: as the folder was made, or plain. */
  readonly tls: boolean;
}

export interface Place {
  readonly dir: string;
  readonly nodes: number;
  /** Node i has data port `port + i - 1` and control port `port + 49 + i`. */
  readonly port: number;
  /** Nodes and clients speak TLS. */
  readonly tls: boolean;
}

export const DEFAULT_NODES = 3;
export const DEFAULT_PORT = 7432;
const MARKER = "demo.json";

/** As root under /var/lib, else in the user's state folder. */
export function defaultDir(env: NodeJS.ProcessEnv = process.env): string {
  if (process.getuid?.() === 0) return "/var/lib/pg-replica/demo";
  return join(env.XDG_STATE_HOME || join(homedir(), ".local/state"), "pg-replica/demo");
}

/**
 * The folder, made or recognised. Throws `CommandFailed` when it holds something else, was made with
 * other numbers, or the servers' owner cannot enter it; nothing is ever deleted.
 */
export async function openPlace(asked: Asked, owner: Owner | undefined): Promise<Place> {
  const dir = resolve(asked.dir ?? defaultDir());
  const known = await readMarker(dir);
  if (owner !== undefined) await mustBeEnterable(dirname(dir), owner);
  if (known !== undefined) return agree(asked, known, dir);
  const { nodes = DEFAULT_NODES, port = DEFAULT_PORT, tls } = asked;
  const place = { dir, nodes, port, tls };
  await makeFolders(dir);
  await makeDirectory(dir, { owner });
  const marker = { made_by: "pg-replica demo", nodes, port, ...(tls ? { tls } : {}) };
  await writeDurable(join(dir, MARKER), `${JSON.stringify(marker)}\n`, { owner, mode: 0o644 });
  return place;
}

/** One at a time: Node's recursive form never returns where the kernel says ENOENT (/proc). */
async function makeFolders(path: string): Promise<void> {
  if (await exists(path)) return;
  await makeFolders(dirname(path));
  await mkdir(path, { mode: 0o755 }).catch((error: unknown) => {
    if (hasCode(error, "EEXIST")) return;
    const expected = `expected a folder that can be made: ${(error as Error).message}`;
    throw new CommandFailed(`--dir: ${path}: ${expected}`);
  });
}

interface Marker {
  readonly nodes: number;
  readonly port: number;
  readonly tls: boolean;
}

async function readMarker(dir: string): Promise<Marker | undefined> {
  const files = await readdir(dir).catch((error: unknown) => {
    if (hasCode(error, "ENOENT")) return undefined;
    throw new CommandFailed(`--dir: ${dir}: expected a folder: ${(error as Error).message}`);
  });
  if (files === undefined || files.length === 0) return undefined;
  // An interrupted first start may have left the marker under its temporary name, and nothing else.
  if (files.every((name) => name.startsWith(`${MARKER}.`))) return undefined;
  const text = files.includes(MARKER) ? await readFile(join(dir, MARKER), "utf8") : "";
  const marker = parseMarker(text);
  if (marker !== undefined) return marker;
  const expected = `expected an empty folder, or one that a demo made (it has no good ${MARKER})`;
  throw new CommandFailed(`--dir: ${dir}: ${expected}; nothing was changed`);
}

function parseMarker(text: string): Marker | undefined {
  const [, nodes, port] =
    /"made_by":\s*"pg-replica demo".*"nodes":\s*(\d+).*"port":\s*(\d+)/.exec(text) ?? [];
  const tls = /"tls":\s*true/.test(text);
  return nodes === undefined ? undefined : { nodes: Number(nodes), port: Number(port), tls };
}

function agree(asked: Asked, known: Marker, dir: string): Place {
  for (const option of ["nodes", "port"] as const) {
    const value = asked[option];
    if (value === undefined || value === known[option]) continue;
    const expected = `expected ${known[option]}, with which ${dir} was made`;
    throw new CommandFailed(`--${option}: ${value}: ${expected} (--dir takes another folder)`);
  }
  if (asked.tls && !known.tls) {
    throw new CommandFailed(
      `--tls: expected none: ${dir} was made without it (--dir takes another folder)`,
    );
  }
  return { dir, ...known };
}

/** Every folder that exists on the way must let the servers' owner through. */
async function mustBeEnterable(path: string, owner: Owner): Promise<void> {
  const info = await stat(path).catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
  const bit = info?.uid === owner.uid ? 0o100 : info?.gid === owner.gid ? 0o010 : 0o001;
  if (info !== undefined && (info.mode & bit) === 0) {
    const mode = `0${(info.mode & 0o777).toString(8)}`;
    const expected = `expected a folder that ${owner.name} can enter, its mode is ${mode}`;
    throw new CommandFailed(`--dir: ${path}: ${expected} (--dir takes another folder)`);
  }
  if (dirname(path) !== path) await mustBeEnterable(dirname(path), owner);
}
