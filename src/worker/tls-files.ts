/** Where servers and connections of this node find its certificate: a copy that was judged first, and changes whole. */
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { readTls } from "../config/certificates.ts";
import { tlsSubject } from "../config/load.ts";
import { ConfigError } from "../config/problems.ts";
import type { Config } from "../config/schema.ts";
import { tlsFilesIn } from "../config/tls.ts";
import { isMissing, makeDirectory, writeDurable } from "../postgres/files.ts";
import type { Owner } from "../postgres/owner.ts";

export interface Installed {
  /** What was there before is not what is there now. */
  readonly changed: boolean;
  readonly validTo: Date | undefined;
  /** Why the operator's files were not taken: those taken before stay. */
  readonly refused: string | undefined;
}

/**
 * Copy the files of `tls` to where this node uses them, if they fit together and to this node. Certificate and key are
 * one file there: nobody ever reads a new one beside an old one. Throws ConfigError where there is none to stay with.
 */
export async function installTls(
  config: Pick<Config, "node" | "control" | "data" | "dir" | "tls">,
  owner: Owner | undefined,
): Promise<Installed> {
  const { tls, dir } = config;
  if (tls === undefined) return { changed: false, validTo: undefined, refused: undefined };
  const files = tlsFilesIn(dir);
  const { material, problems } = await readTls(tls, tlsSubject(config));
  if (material === undefined) {
    const error = new ConfigError(`${dir}/node.yaml`, problems);
    if ((await textOf(files.cert)) === undefined) throw error;
    return { changed: false, validTo: undefined, refused: error.message };
  }
  await makeDirectory(dirname(files.ca), { owner });
  // The authorities first: they may only have become more.
  const changed = [
    await put(files.ca, material.ca, owner),
    await put(files.cert, material.own, owner),
  ];
  return { changed: changed.includes(true), validTo: material.validTo, refused: undefined };
}

async function put(path: string, text: string, owner: Owner | undefined): Promise<boolean> {
  if ((await textOf(path)) === text) return false;
  await writeDurable(path, text, { owner, mode: 0o600 });
  return true;
}

async function textOf(path: string): Promise<string | undefined> {
  return await readFile(path, "utf8").catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
}
