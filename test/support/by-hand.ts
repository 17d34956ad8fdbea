/** Three nodes without the demo: a configuration file each, `init` and `run` as an operator types them. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, open as openFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Authority, issueInto } from "./certificates.ts";
import type { ClusterView, NodeEntry } from "./cluster.ts";
import { processesBelow, temporaryFolder } from "./cluster.ts";
import { freeDemoPorts } from "./ports.ts";
import { describeProcess, type Process, signalTree, untilGone } from "./processes.ts";
import { CLI, cli, exitOf, type RunResult } from "./programs.ts";

const PASSWORD = "by-hand-password";
/** Where all servers listen. */
const HERE = "127.0.0.1";

export interface ByHand extends ClusterView {
  readonly top: string;
  configOf(id: number): string;
  logOf(id: number): string;
  init(id: number): Promise<RunResult>;
  /** `init --join` with a member's URI. */
  join(id: number, by: number, options?: readonly string[]): Promise<RunResult>;
  /** Start `run`; it stays until it is stopped or fails. */
  run(id: number, env?: NodeJS.ProcessEnv): Promise<ChildProcess>;
  /** `pg-replica stop`: both servers and the worker of one node. */
  stop(id: number): Promise<RunResult>;
  /** SIGKILL to everything of every node at once. */
  crashAll(): Promise<void>;
  /** Kill what is left; throws when `expectNothing` and something was. */
  discard(files: "keep" | "remove"): Promise<void>;
}

/** Ports of a node; without one for data it is a witness. */
export interface NodePorts {
  readonly id: number;
  readonly data?: number;
  readonly control: number;
}

/** The file of one node as an operator would write it; one that is no founder names no peers. */
export function nodeFile(
  nodes: readonly NodePorts[],
  id: number,
  {
    cluster = "byhand",
    founders = nodes.length,
    tls = false,
    preset = "lan",
    hostOf = (_id: number): string => HERE,
  } = {},
): Record<string, unknown> {
  const me = nodes.find((node) => node.id === id);
  const here = { host: hostOf(id), ...(hostOf(id) === HERE ? {} : { listen: HERE }) };
  const peers = nodes.slice(0, founders).map((node) => ({
    id: node.id,
    name: `node${node.id}`,
    host: hostOf(node.id),
    port: node.control,
    ...(node.data === undefined ? {} : { data_host: hostOf(node.id), data_port: node.data }),
  }));
  const clients = tls ? { hba: ["hostssl all all 127.0.0.1/32 scram-sha-256"] } : {};
  const isFounder = peers.some((peer) => peer.id === id);
  return {
    cluster,
    node: { id, name: `node${id}` },
    ...(me?.data === undefined
      ? {}
      : { data: { dir: "data", ...here, port: me.data, ...clients } }),
    control: { dir: "control", ...here, port: me?.control, ...clients },
    ...(tls ? { tls: { ca: "node.ca", cert: "node.crt", key: "node.key" } } : {}),
    ...(isFounder ? { peers } : {}),
    timing: { preset },
    watchdog: "off",
    peer_password_file: "../peer.password",
    superuser_password_file: "../superuser.password",
  };
}

export interface Layout {
  /** How many of them found the cluster; the others may join it later. */
  readonly founders?: number;
  /** Which have no data server. */
  readonly witnesses?: readonly number[];
  /** Everything in TLS, by its certificates. */
  readonly authority?: Authority;
  /** Default: lan. */
  readonly preset?: "lan" | "wan";
  /** Where the other nodes find one, if that is not where it listens: somebody stands between. */
  readonly hostOf?: (id: number) => string;
  /** Once the files are there, and before anything runs. */
  readonly prepared?: (all: ByHand) => Promise<void>;
}

/** Write the files of `size` nodes into a new folder; nothing is started. */
export async function prepareByHand(size = 3, layout: Layout = {}): Promise<ByHand> {
  const { founders = size, witnesses = [], authority, preset, hostOf } = layout;
  const top = await temporaryFolder("byhand");
  const base = await freeDemoPorts(size);
  const ids = Array.from({ length: size }, (_, index) => index + 1);
  const ports = ids.map((id) => ({ id, data: base + id - 1, control: base + 50 + id - 1 }));
  const written: NodePorts[] = ports.map(({ id, data, control }) =>
    witnesses.includes(id) ? { id, control } : { id, data, control },
  );
  await writeFile(join(top, "peer.password"), "0123456789abcdef0123456789abcdef\n", {
    mode: 0o600,
  });
  await writeFile(join(top, "superuser.password"), `${PASSWORD}\n`, { mode: 0o600 });
  for (const id of ids) {
    await mkdir(join(top, `node${id}`));
    // JSON is YAML.
    await writeFile(
      join(top, `node${id}`, "node.yaml"),
      JSON.stringify(
        nodeFile(written, id, { founders, tls: authority !== undefined, preset, hostOf }),
        null,
        2,
      ),
    );
    if (authority !== undefined) await certify(top, id, authority, hostOf?.(id));
  }
  const server = (port: number, dir: string) => {
    const uri = `postgresql://postgres:${PASSWORD}@127.0.0.1:${port}/postgres`;
    const secure = `?sslmode=verify-full&sslrootcert=${join(top, "node1", "node.ca")}`;
    return { uri: authority === undefined ? uri : uri + secure, port, dir, pid: null };
  };
  const nodes: NodeEntry[] = ports.map(({ id, data, control }) => ({
    id,
    name: `node${id}`,
    data: server(data, join(top, `node${id}`, "data")),
    control: server(control, join(top, `node${id}`, "control")),
    worker: { pid: null },
  }));
  const all = { top, size, nodes, ...commands(top, nodes) };
  await layout.prepared?.(all);
  return all;
}

/** A certificate of node `id`, new or another one. */
export async function certify(
  top: string,
  id: number,
  authority: Authority,
  host = HERE,
): Promise<void> {
  const subject = { commonName: `pgreplica_node_${id}`, hosts: [...new Set([HERE, host])] };
  await issueInto(join(top, `node${id}`), "node", authority, subject);
}

function commands(top: string, nodes: readonly NodeEntry[]) {
  const configOf = (id: number) => join(top, `node${id}`, "node.yaml");
  const logOf = (id: number) => join(top, `run${id}.log`);
  const node = (id: number) => {
    const found = nodes.find((one) => one.id === id);
    if (found === undefined) throw new Error(`no node ${id}`);
    return found;
  };
  const run = async (id: number, env: NodeJS.ProcessEnv = {}) => {
    const log = await openFile(logOf(id), "a");
    const stdio = ["ignore", log.fd, log.fd] as const;
    const child = spawn(process.execPath, [CLI, "run", "--config", configOf(id)], {
      stdio: [...stdio],
      env: { ...process.env, ...env },
    });
    await log.close();
    return child;
  };
  const kill = async () => {
    const killed: Process[] = signalTree(() => processesBelow(top), "SIGKILL");
    await untilGone(killed, 10_000);
  };
  return {
    configOf,
    logOf,
    node,
    run,
    dataUris: () => nodes.map(({ data }) => data.uri),
    controlUris: () => nodes.map(({ control }) => control.uri),
    refresh: () => Promise.resolve(),
    init: (id: number) => cli(["init", "--config", configOf(id)], { limitMs: 60_000 }),
    join: (id: number, by: number, options: readonly string[] = []) => {
      const uri = node(by).control.uri;
      const args = ["init", "--join", uri, "--config", configOf(id), ...options];
      return cli(args, { limitMs: 60_000 });
    },
    stop: (id: number) => cli(["stop", "--config", configOf(id)], { limitMs: 60_000 }),
    crashAll: kill,
    discard: async (files: "keep" | "remove") => {
      await kill();
      if (files === "remove") await rm(top, { recursive: true, force: true });
    },
  };
}

/** The cluster as these nodes make it up. */
export function madeUpOf(all: ByHand, ids: readonly number[]): ClusterView {
  const nodes = ids.map((id) => all.node(id));
  return {
    size: nodes.length,
    nodes,
    node: (id) => all.node(id),
    dataUris: () => nodes.map(({ data }) => data.uri),
    controlUris: () => nodes.map(({ control }) => control.uri),
    refresh: () => Promise.resolve(),
  };
}

/** SIGTERM to a worker and its exit status. */
export async function endWorker(child: ChildProcess): Promise<number | null> {
  child.kill("SIGTERM");
  return await exitOf(child);
}

/** What still runs below a folder, in words. */
export function leftBelow(top: string): string[] {
  return processesBelow(top).map(describeProcess);
}
