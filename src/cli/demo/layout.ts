/** The nodes' folders: node.yaml and secrets, written once and kept. */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { loadConfig } from "../../config/load.ts";
import type { Config } from "../../config/schema.ts";
import { nodeRole } from "../../core/ids.ts";
import type { Binaries } from "../../postgres/binaries.ts";
import { exists, isMissing, makeDirectory, writeDurable } from "../../postgres/files.ts";
import type { Owner } from "../../postgres/owner.ts";
import { createAuthority } from "./certificates.ts";
import type { Place } from "./place.ts";

/** One node of the demo: where its file is, and what it says. */
export interface DemoNode {
  readonly file: string;
  readonly config: Config;
}

export interface LayoutOptions {
  readonly place: Place;
  readonly owner: Owner | undefined;
  readonly binaries: Binaries;
  readonly runAs: string;
  readonly env: NodeJS.ProcessEnv;
}

const SECRETS = ["peer.secret", "superuser.secret"] as const;

export function nodeDirs({ dir, nodes }: Place): string[] {
  return Array.from({ length: nodes }, (_, index) => join(dir, `node${index + 1}`));
}

/** Complete whatever is missing; a node.yaml that is there stays as it is, changed or not. */
export async function layOut({
  place,
  owner,
  binaries,
  runAs,
  env,
}: LayoutOptions): Promise<DemoNode[]> {
  const dirs = nodeDirs(place);
  for (const dir of dirs) {
    await makeDirectory(dir, { owner });
    await makeDirectory(join(dir, "log"), { owner });
  }
  for (const name of SECRETS) await shareSecret(name, dirs, owner);
  if (place.tls) await certify(dirs, owner);
  const nodes: DemoNode[] = [];
  for (const [index, dir] of dirs.entries()) {
    const file = join(dir, "node.yaml");
    if (!(await exists(file))) {
      const yaml = nodeYaml(place, index, { bin_dir: binaries.dir, run_as: runAs });
      await writeDurable(file, yaml, { owner, mode: 0o644 });
    }
    nodes.push({ file, config: await loadConfig(file, env) });
  }
  return nodes;
}

/** The same secret in every folder: the one that is there already, or a new one. */
async function shareSecret(
  name: string,
  dirs: readonly string[],
  owner: Owner | undefined,
): Promise<void> {
  const there = await Promise.all(dirs.map((dir) => readIfThere(join(dir, name))));
  const secret = there.find((text) => text !== undefined) ?? `${randomBytes(18).toString("hex")}\n`;
  for (const [index, dir] of dirs.entries()) {
    if (there[index] === undefined) await writeDurable(join(dir, name), secret, { owner });
  }
}

const TLS_FILES = { ca: "ca.crt", cert: "node.crt", key: "node.key" } as const;

/** Certificates for all, unless all have theirs: the authority is gone once it has issued them. */
async function certify(dirs: readonly string[], owner: Owner | undefined): Promise<void> {
  const files = dirs.flatMap((dir) => Object.values(TLS_FILES).map((name) => join(dir, name)));
  const there = await Promise.all(files.map(exists));
  if (!there.includes(false)) return;
  const authority = createAuthority("pg_replica demo");
  for (const [index, dir] of dirs.entries()) {
    const commonName = nodeRole(index + 1);
    const { cert, key } = authority.issue({ commonName, hosts: ["127.0.0.1", "localhost"] });
    await writeDurable(join(dir, TLS_FILES.ca), authority.cert, { owner, mode: 0o644 });
    await writeDurable(join(dir, TLS_FILES.cert), cert, { owner, mode: 0o644 });
    await writeDurable(join(dir, TLS_FILES.key), key, { owner });
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  return await readFile(path, "utf8").catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
}

function nodeYaml(
  { nodes, port, tls }: Place,
  index: number,
  machine: { readonly bin_dir: string; readonly run_as: string },
): string {
  const peers = Array.from({ length: nodes }, (_, at) => ({
    id: at + 1,
    name: `node${at + 1}`,
    host: "127.0.0.1",
    port: port + 50 + at,
    data_port: port + at,
  }));
  const clients = tls ? { hba: ["hostssl all all 127.0.0.1/32 scram-sha-256"] } : {};
  const file = {
    cluster: "demo",
    node: { id: index + 1, name: `node${index + 1}` },
    data: { dir: "data", host: "127.0.0.1", port: port + index, ...clients },
    control: { dir: "control", host: "127.0.0.1", port: port + 50 + index, ...clients },
    ...(tls ? { tls: TLS_FILES } : {}),
    peers,
    ...machine,
    // Three nodes on a machine where people work: nothing may reset it.
    watchdog: "off",
    peer_password_file: SECRETS[0],
    superuser_password_file: SECRETS[1],
  };
  return `# Made by "pg-replica demo", which keeps it as it finds it.\n${stringify(file)}`;
}
