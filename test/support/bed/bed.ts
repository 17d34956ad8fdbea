/**
 * A cluster whose nodes are hosts of their own: each with its network namespace, its small disks and a service manager
 * that starts its worker again. Everything it makes is taken away and looked for at the end, also on Ctrl-C.
 */
import { randomBytes } from "node:crypto";
import { chown, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { serverOwner } from "../../../src/postgres/owner.ts";
import { type ClusterView, type NodeEntry, temporaryFolder } from "../cluster.ts";
import { type Healthy, untilHealthy } from "../health.ts";
import { freeDemoPorts } from "../ports.ts";
import {
  allProcesses,
  type Process,
  readProcess,
  withDescendants,
  workingIn,
} from "../processes.ts";
import { CLI, run } from "../programs.ts";
import { type Host, probeHost } from "./capabilities.ts";
import { type Keeper, keepWorker } from "./keeper.ts";
import { leftovers, sweep, takeDown, writeClaim } from "./leftovers.ts";
import type { Network } from "./links.ts";
import { NAMESPACE_PORTS, openNamespaces } from "./namespaces.ts";
import { openProxy } from "./proxy.ts";
import { makeVolume, type Volume } from "./volumes.ts";

export interface BedOptions {
  readonly nodes?: number;
  /** Default: namespaces where the host has them. */
  readonly network?: Network["kind"];
  /** Disks of their own, where the host can: default yes. */
  readonly volumes?: boolean;
  /** PostgreSQL settings of every data server. */
  readonly settings?: Readonly<Record<string, string>>;
  /** More keys of node.yaml. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly env?: NodeJS.ProcessEnv;
  /** Seed of what is random in a proxy. */
  readonly seed?: number;
}

export type VolumeKind = "control" | "data";

export interface Bed extends ClusterView {
  readonly top: string;
  readonly host: Host;
  readonly network: Network;
  keeper(id: number): Keeper;
  /** Undefined where the host cannot make any. */
  volume(id: number, kind: VolumeKind): Volume | undefined;
  /** Everything of one node. */
  processesOf(id: number): Process[];
  /** The processes of one server, whoever their parent is now. */
  serverOf(id: number, kind: VolumeKind): Process[];
  workerOf(id: number): Process[];
  configOf(id: number): string;
  /** The program that archives nothing on this node, and is asked to. */
  archiverOf(id: number): string;
  logs(): string[];
  /** Stop everything, look for what is left, and throw if anything is. */
  close(files: "keep" | "remove"): Promise<void>;
}

const PASSWORD = randomBytes(12).toString("hex");
const CONTROL_MB = 128;
const DATA_MB = 1024;
const RESTART_MS = 200;
/** Lets a fault block a worker's event loop. */
const BLOCK_LOOP = `--import=${new URL("block-loop.mjs", import.meta.url)}`;
/** What each node's archive_command runs; a fault writes another. */
const ARCHIVER = "archiver.sh";

/** Start it and wait until it is healthy; throws with the place of the logs otherwise. */
export async function openBed(options: BedOptions = {}): Promise<Bed> {
  await sweep();
  const host = await probeHost();
  const size = options.nodes ?? 3;
  const top = await temporaryFolder("bed");
  const kind = options.network ?? (host.class === "C" ? "proxy" : "namespaces");
  const { network, ports, name } = await openNetwork(kind, size, options.seed ?? 1);
  await writeClaim(top, name);
  const bed = new RunningBed({ ...options, top, host, size, ports, network, name });
  try {
    await bed.build();
    return bed;
  } catch (error) {
    await bed.close("keep");
    throw new Error(`the bed did not start; logs:\n  ${bed.logs().join("\n  ")}`, { cause: error });
  }
}

async function openNetwork(kind: Network["kind"], size: number, seed: number) {
  if (kind === "namespaces") {
    const network = await openNamespaces(size);
    return { network, name: network.name, ports: NAMESPACE_PORTS };
  }
  const base = await freeDemoPorts(size);
  const ports = { data: base, control: base + 50 };
  return { network: await openProxy(size, ports, seed), name: undefined, ports };
}

interface Place extends Omit<BedOptions, "network"> {
  readonly top: string;
  readonly host: Host;
  readonly size: number;
  readonly network: Network;
  /** Of its namespaces. */
  readonly name: string | undefined;
  readonly ports: Readonly<Record<VolumeKind, number>>;
}

class RunningBed implements Bed {
  private readonly place: Place;
  private readonly keepers = new Map<number, Keeper>();
  private readonly volumes = new Map<string, Volume>();
  private closing: Promise<void> | undefined;
  private entries: NodeEntry[] = [];
  private readonly onSignal = (name: NodeJS.Signals) => void this.interrupted(name);

  constructor(place: Place) {
    this.place = place;
    for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, this.onSignal);
  }

  get top() {
    return this.place.top;
  }
  get host() {
    return this.place.host;
  }
  get network() {
    return this.place.network;
  }
  get size() {
    return this.place.size;
  }
  get nodes() {
    return this.entries;
  }
  private get ids() {
    return Array.from({ length: this.size }, (_, index) => index + 1);
  }

  keeper(id: number): Keeper {
    const found = this.keepers.get(id);
    if (found === undefined) throw new Error(`no node ${id}`);
    return found;
  }

  volume(id: number, kind: VolumeKind): Volume | undefined {
    return this.volumes.get(`${id} ${kind}`);
  }

  node(id: number): NodeEntry {
    const found = this.entries.find((node) => node.id === id);
    if (found === undefined) throw new Error(`no node ${id}`);
    return found;
  }

  dataUris(): string[] {
    return this.entries.map(({ data }) => data.uri);
  }

  controlUris(): string[] {
    return this.entries.map(({ control }) => control.uri);
  }

  async refresh(): Promise<void> {
    this.entries = await Promise.all(this.ids.map((id) => this.entry(id)));
  }

  private async entry(id: number): Promise<NodeEntry> {
    const server = async (kind: VolumeKind) => {
      const dir = this.dirOf(id, kind);
      const text = await readFile(join(dir, "postmaster.pid"), "utf8").catch(() => ""); // does not run
      const pid = Number(text.split("\n")[0]);
      const port = this.place.ports[kind];
      const uri = `postgresql://postgres:${PASSWORD}@${this.network.address(id)}:${port}/postgres`;
      return { uri, port, dir, pid: readProcess(pid) === undefined ? null : pid };
    };
    const worker = { pid: this.keepers.get(id)?.pid ?? null };
    const [data, control] = [await server("data"), await server("control")];
    return { id, name: `node${id}`, data, control, worker };
  }

  private folder(id: number): string {
    return join(this.top, `node${id}`);
  }

  private dirOf(id: number, kind: VolumeKind): string {
    return join(this.folder(id), `${kind}-disk`, kind);
  }

  configOf(id: number): string {
    return join(this.folder(id), "node.yaml");
  }

  archiverOf(id: number): string {
    return join(this.folder(id), ARCHIVER);
  }

  logs(): string[] {
    return this.ids.map((id) => join(this.folder(id), "log"));
  }

  processesOf(id: number): Process[] {
    const folder = this.folder(id);
    const all = allProcesses();
    const named = all.filter(({ command }) => command.includes(`${folder}/`));
    const roots = [...named, ...workingIn(all, folder)].map(({ pid }) => pid);
    return withDescendants(all, roots);
  }

  serverOf(id: number, kind: VolumeKind): Process[] {
    const all = allProcesses();
    const inside = workingIn(all, this.dirOf(id, kind)).map(({ pid }) => pid);
    return withDescendants(all, inside);
  }

  workerOf(id: number): Process[] {
    const { pid } = this.keeper(id);
    const worker = pid === undefined ? undefined : readProcess(pid);
    return worker === undefined ? [] : [worker];
  }

  /** Files, disks, control stores, workers; until the cluster is healthy. */
  async build(): Promise<Healthy> {
    await Promise.all(this.ids.map((id) => this.prepare(id)));
    await this.refresh();
    await Promise.all(this.ids.map((id) => this.init(id)));
    for (const id of this.ids) this.keeper(id).start();
    return await untilHealthy(this, 300_000);
  }

  private async prepare(id: number): Promise<void> {
    const folder = this.folder(id);
    const owner = await serverOwner("postgres");
    for (const path of [folder, join(folder, "log")]) {
      await mkdir(path, { recursive: true });
      if (owner !== undefined) await chown(path, owner.uid, owner.gid);
    }
    for (const kind of ["control", "data"] as const) await this.prepareDisk(id, kind, owner);
    await writeFile(join(folder, "peer.secret"), `${"0123456789abcdef".repeat(2)}\n`, {
      mode: 0o600,
    });
    await writeFile(join(folder, "superuser.secret"), `${PASSWORD}\n`, { mode: 0o600 });
    await writeFile(this.archiverOf(id), "exit 0\n", { mode: 0o644 });
    await writeFile(this.configOf(id), JSON.stringify(this.nodeFile(id), undefined, 2));
    this.keepers.set(
      id,
      keepWorker({
        config: this.configOf(id),
        log: join(folder, "log", "worker.log"),
        enter: this.network.enter(id),
        env: { NODE_OPTIONS: BLOCK_LOOP, ...this.place.env },
        restartMs: RESTART_MS,
      }),
    );
  }

  private async prepareDisk(
    id: number,
    kind: VolumeKind,
    owner: { uid: number; gid: number } | undefined,
  ): Promise<void> {
    const path = join(this.folder(id), `${kind}-disk`);
    if (this.place.volumes === false || !this.host.has("loop volumes")) {
      await mkdir(path);
      if (owner !== undefined) await chown(path, owner.uid, owner.gid);
      return;
    }
    const image = join(this.top, `node${id}-${kind}.img`);
    const megabytes = kind === "control" ? CONTROL_MB : DATA_MB;
    this.volumes.set(`${id} ${kind}`, await makeVolume({ image, path, megabytes, owner }));
  }

  /** JSON is YAML. */
  private nodeFile(id: number): Record<string, unknown> {
    const { ports, network, settings = {}, config = {} } = this.place;
    const archive = { archive_mode: "on", archive_command: `sh ${this.archiverOf(id)}` };
    const server = (kind: VolumeKind) => ({
      dir: this.dirOf(id, kind),
      host: network.address(id),
      listen: network.listen(id),
      port: ports[kind],
      hba: [network.clients],
    });
    return {
      cluster: "bed",
      node: { id, name: `node${id}` },
      data: { ...server("data"), settings: { ...archive, ...settings } },
      control: server("control"),
      peers: this.ids.map((peer) => ({
        id: peer,
        name: `node${peer}`,
        host: network.address(peer),
        port: ports.control,
        data_port: ports.data,
      })),
      watchdog: "off",
      peer_password_file: "peer.secret",
      superuser_password_file: "superuser.secret",
      ...config,
    };
  }

  private async init(id: number): Promise<void> {
    const command = [...this.network.enter(id), process.execPath, CLI, "init"];
    const [program = "", ...args] = [...command, "--config", this.configOf(id)];
    const env = { ...process.env, ...this.place.env };
    const { exitCode, stderr } = await run(program, args, { limitMs: 90_000, env });
    if (exitCode !== 0) throw new Error(`init of node ${id}: exit ${exitCode}\n${stderr}`);
  }

  private async interrupted(name: NodeJS.Signals): Promise<void> {
    console.error(`${name}: taking the test bed down`);
    await this.close("keep").catch((error: Error) => console.error(error.message));
    process.exit(130);
  }

  close(files: "keep" | "remove"): Promise<void> {
    this.closing ??= this.closeOnce(files);
    return this.closing;
  }

  private async closeOnce(files: "keep" | "remove"): Promise<void> {
    for (const keeper of this.keepers.values()) keeper.hold();
    await takeDown(this.top, this.place.name);
    await this.network.close();
    const left = await leftovers(this.top, this.place.name);
    for (const name of ["SIGINT", "SIGTERM"] as const) process.off(name, this.onSignal);
    if (left.length > 0) throw new Error(`the bed left behind:\n  ${left.join("\n  ")}`);
    if (files === "remove") await rm(this.top, { recursive: true, force: true });
    else for (const id of this.ids) await rm(join(this.top, `node${id}-data.img`), { force: true });
  }
}
