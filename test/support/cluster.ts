/** A whole demo cluster as a user has it: started by the command line, looked at and hurt from outside. */
import { type ChildProcess, spawn } from "node:child_process";
import { chmod, mkdtemp, open as openFile, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { monotonicClock } from "../../src/clock/clock.ts";
import { freeDemoPorts } from "./ports.ts";
import {
  allProcesses,
  describeProcess,
  type Process,
  readProcess,
  signalAtOnce,
  signalTree,
  stillAlive,
  untilFrozen,
  untilGone,
  withDescendants,
  workingIn,
} from "./processes.ts";
import { CLI, exitOf } from "./programs.ts";
import { until } from "./until.ts";

export interface ServerEntry {
  readonly uri: string;
  readonly port: number;
  readonly dir: string;
  /** null while it does not run. */
  readonly pid: number | null;
}

export interface NodeEntry {
  readonly id: number;
  readonly name: string;
  readonly data: ServerEntry;
  readonly control: ServerEntry;
  readonly worker: { readonly pid: number | null };
}

/** What the demo writes to DIR/cluster.json when it is ready, and keeps current. */
export interface ClusterFile {
  readonly uri: string;
  readonly nodes: readonly NodeEntry[];
}

export interface StartOptions {
  readonly nodes?: number;
  /** The demo's folder; default: a new temporary one. */
  readonly dir?: string;
  readonly port?: number;
  /** `--tls`. */
  readonly tls?: boolean;
  readonly env?: NodeJS.ProcessEnv;
  /** Until cluster.json is there, milliseconds. */
  readonly limitMs?: number;
  /** The command line to run; default: from the sources. */
  readonly main?: string;
}

/** A fault as it happened. */
export interface Injection {
  /** Monotonic milliseconds at its first signal. */
  readonly at: number;
  readonly processes: readonly Process[];
}

/** What can be looked at, however it was started. */
export interface ClusterView {
  readonly size: number;
  readonly nodes: readonly NodeEntry[];
  node(id: number): NodeEntry;
  /** Single-host URIs of all data servers, in order of id. */
  dataUris(): string[];
  controlUris(): string[];
  /** Read what may have changed, such as pids. */
  refresh(): Promise<unknown>;
}

export interface Cluster extends ClusterView {
  readonly dir: string;
  readonly port: number;
  /** What the supervisor printed; the servers' and workers' logs lie in DIR/node<i>/log. */
  readonly logFile: string;
  /** Multi-host URI for libpq. */
  readonly uri: string;
  /** SIGKILL to the data server's postmaster alone; its children are left to themselves (H05). */
  killPostmaster(id: number): Injection;
  /** SIGKILL to the postmaster and all its children. */
  killDataServer(id: number): Injection;
  /** SIGKILL to worker, both servers and all their children at once. */
  killNode(id: number): Injection;
  killWorker(id: number): Injection;
  /** SIGSTOP to the same processes; returns when all are stopped. */
  freezeNode(id: number): Promise<Injection>;
  /** SIGSTOP to the data server's postmaster and children. */
  freezeDataServer(id: number): Promise<Injection>;
  /** SIGCONT to what a freeze stopped. */
  thaw(frozen: Injection): void;
  /** All processes of one node. */
  processesOf(id: number): Process[];
  dataServerOf(id: number): Process[];
  /** SIGTERM to the supervisor, and proof that it left nothing behind. */
  stop(): Promise<void>;
  /** Start it again from the same folder and ports, after `stop`. */
  restart(): Promise<void>;
  /** SIGKILL whatever is left and remove what was made; for the very end. */
  discard(keepFiles: "keep" | "remove"): Promise<void>;
}

/** Processes of anything below `dir`: they work there, or were started with a path in it. */
export function processesBelow(dir: string): Process[] {
  const all = allProcesses().filter(({ pid }) => pid !== process.pid);
  const named = all.filter(({ command }) => command.includes(`${dir}/`) || command.endsWith(dir));
  return [...new Set([...workingIn(all, dir), ...named])];
}

/** A folder for one test, through which the servers' own user may walk. */
export async function temporaryFolder(name: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `pg-replica-${name}-`));
  await chmod(folder, 0o755);
  return folder;
}

/** Start a demo and wait for its cluster.json; the error holds the end of what it printed. */
export async function startCluster(options: StartOptions = {}): Promise<Cluster> {
  const size = options.nodes ?? 3;
  const top = options.dir === undefined ? await temporaryFolder("cluster") : undefined;
  const dir = options.dir ?? join(top ?? "", "demo");
  const cluster = new RunningCluster({
    dir,
    size,
    port: options.port ?? (await freeDemoPorts(size)),
    logFile: join(top ?? dirname(dir), "demo.log"),
    made: top ?? dir,
    env: options.env ?? {},
    main: options.main ?? CLI,
    tls: options.tls ?? false,
    limitMs: options.limitMs ?? 150_000,
  });
  try {
    await cluster.restart();
  } catch (error) {
    await cluster.discard("keep");
    throw error;
  }
  return cluster;
}

interface Place {
  readonly dir: string;
  readonly port: number;
  readonly size: number;
  readonly logFile: string;
  /** What `discard` removes. */
  readonly made: string;
  readonly env: NodeJS.ProcessEnv;
  readonly main: string;
  readonly tls: boolean;
  readonly limitMs: number;
}

class RunningCluster implements Cluster {
  private readonly place: Place;
  private child: ChildProcess | undefined;
  private file: ClusterFile = { uri: "", nodes: [] };
  /** Should this process end first, the supervisor is told to stop its servers. */
  private readonly atExit = () => void this.child?.kill("SIGTERM");

  constructor(place: Place) {
    this.place = place;
  }

  get dir() {
    return this.place.dir;
  }
  get port() {
    return this.place.port;
  }
  get size() {
    return this.place.size;
  }
  get logFile() {
    return this.place.logFile;
  }
  get uri() {
    return this.file.uri;
  }
  get nodes() {
    return this.file.nodes;
  }

  node(id: number): NodeEntry {
    const found = this.file.nodes.find((node) => node.id === id);
    if (found === undefined) throw new Error(`no node ${id} in cluster.json`);
    return found;
  }

  dataUris(): string[] {
    return this.file.nodes.map(({ data }) => data.uri);
  }

  controlUris(): string[] {
    return this.file.nodes.map(({ control }) => control.uri);
  }

  async refresh(): Promise<ClusterFile> {
    const text = await readFile(join(this.dir, "cluster.json"), "utf8");
    this.file = JSON.parse(text) as ClusterFile;
    return this.file;
  }

  processesOf(id: number): Process[] {
    const { data, control, worker } = this.node(id);
    const folder = dirname(data.dir);
    const all = allProcesses();
    const named = all.filter(({ command }) => command.includes(`${folder}/`));
    const inside = workingIn(all, folder);
    const recorded = [worker.pid, data.pid, control.pid].filter((pid) => pid !== null);
    const roots = [...recorded, ...named.map(({ pid }) => pid), ...inside.map(({ pid }) => pid)];
    return withDescendants(all, roots).filter(({ pid }) => pid !== this.child?.pid);
  }

  dataServerOf(id: number): Process[] {
    const { data } = this.node(id);
    const all = allProcesses();
    const inside = workingIn(all, data.dir).map(({ pid }) => pid);
    return withDescendants(all, inside);
  }

  killPostmaster(id: number): Injection {
    return kill([postmasterOf(this.dataServerOf(id), this.node(id).data.dir)]);
  }

  killDataServer(id: number): Injection {
    return kill(this.dataServerOf(id));
  }

  killNode(id: number): Injection {
    const injection = kill(this.processesOf(id));
    // What was forked while we listed works in the node's folders; what the supervisor started since is not counted.
    const pids = new Set(injection.processes.map(({ pid }) => pid));
    const { data, control } = this.node(id);
    const late = signalTree(() => {
      const all = allProcesses();
      const inside = [...workingIn(all, data.dir), ...workingIn(all, control.dir)];
      return inside.filter(({ pid, ppid }) => pids.has(pid) || pids.has(ppid));
    }, "SIGKILL");
    return { at: injection.at, processes: [...injection.processes, ...late] };
  }

  killWorker(id: number): Injection {
    const { pid } = this.node(id).worker;
    const worker = pid === null ? undefined : readProcess(pid);
    if (worker === undefined) throw new Error(`worker of node ${id} is not running`);
    return kill([worker]);
  }

  async freezeNode(id: number): Promise<Injection> {
    return await freeze(() => this.processesOf(id));
  }

  async freezeDataServer(id: number): Promise<Injection> {
    return await freeze(() => this.dataServerOf(id));
  }

  thaw(frozen: Injection): void {
    signalAtOnce(frozen.processes.filter(stillAlive), "SIGCONT");
  }

  async restart(): Promise<void> {
    const { dir, size, port, main, tls, env, logFile, limitMs } = this.place;
    const log = await openFile(logFile, "a");
    const startedAt = Date.now();
    const args = [main, "demo", "--nodes", `${size}`, "--dir", dir, "--port", `${port}`];
    if (tls) args.push("--tls");
    const child = spawn(process.execPath, args, {
      env: { ...process.env, ...env },
      stdio: ["ignore", log.fd, log.fd],
    });
    this.child = child;
    process.once("exit", this.atExit);
    await log.close();
    await until("the demo is ready", { limitMs, everyMs: 20 }, async () => {
      if (child.exitCode !== null) return true;
      const { mtimeMs } = await stat(join(dir, "cluster.json"));
      return mtimeMs >= startedAt - 5;
    });
    if (child.exitCode !== null) {
      throw new Error(`the demo ended with exit ${child.exitCode}:\n${await tail(logFile)}`);
    }
    await this.refresh();
  }

  async stop(): Promise<void> {
    const child = this.child;
    const seen = processesBelow(this.dir);
    if (child !== undefined && child.exitCode === null) {
      child.kill("SIGTERM");
      const late = monotonicClock.sleep(40_000).then(() => "late" as const);
      if ((await Promise.race([exitOf(child), late])) === "late") {
        throw new Error(`the demo did not stop within 40 s:\n${await tail(this.logFile)}`);
      }
    }
    process.off("exit", this.atExit);
    const left = [...processesBelow(this.dir), ...seen.filter(stillAlive)];
    if (left.length === 0) return;
    throw new Error(`left behind after stop:\n${left.map(describeProcess).join("\n")}`);
  }

  async discard(keepFiles: "keep" | "remove"): Promise<void> {
    this.child?.kill("SIGKILL");
    process.off("exit", this.atExit);
    const killed = signalTree(() => processesBelow(this.dir), "SIGKILL");
    await untilGone(killed, 10_000);
    if (keepFiles === "remove") await rm(this.place.made, { recursive: true, force: true });
  }
}

/** The parent of a data server's processes: its own parent does not work in the folder. */
export function postmasterOf(server: readonly Process[], dir: string): Process {
  const pids = new Set(server.map(({ pid }) => pid));
  const tops = server.filter(({ ppid, cwd }) => cwd === dir && !pids.has(ppid));
  const [top] = tops;
  if (top === undefined || tops.length > 1) {
    throw new Error(`expected one postmaster in ${dir}, found: ${tops.map(describeProcess)}`);
  }
  return top;
}

function kill(listed: readonly Process[]): Injection {
  if (listed.length === 0) throw new Error("nothing to kill");
  return { at: signalAtOnce(listed, "SIGKILL"), processes: listed };
}

/** Stop what `list` finds, until nothing new appears; returns when all are seen stopped. */
async function freeze(list: () => Process[]): Promise<Injection> {
  const first = list();
  if (first.length === 0) throw new Error("nothing to freeze");
  const at = signalAtOnce(first, "SIGSTOP");
  const all = [...first, ...signalTree(list, "SIGSTOP")];
  const processes = all.filter(
    (one, index) => all.findIndex(({ pid }) => pid === one.pid) === index,
  );
  await untilFrozen(processes, 2000);
  return { at, processes };
}

/** The last lines of a log, for an error message. */
export async function tail(path: string, lines = 30): Promise<string> {
  const text = await readFile(path, "utf8").catch(() => "(no log)");
  return text.trimEnd().split("\n").slice(-lines).join("\n");
}

/** Where to look when a test failed. */
export function logPaths(cluster: Cluster): string[] {
  const ids = Array.from({ length: cluster.size }, (_, index) => index + 1);
  const folders = ids.map((id) => join(cluster.dir, `node${id}`, "log"));
  return [cluster.logFile, ...folders];
}
