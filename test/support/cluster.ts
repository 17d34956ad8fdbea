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
  readonly pid: number;
}

export interface NodeEntry {
  readonly id: number;
  readonly name: string;
  readonly data: ServerEntry;
  readonly control: ServerEntry;
  readonly worker: { readonly pid: number };
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
  readonly env?: NodeJS.ProcessEnv;
  /** Until cluster.json is there, milliseconds. */
  readonly limitMs?: number;
  /** The command line to run; default: from the sources. */
  readonly main?: string;
}

export interface Cluster {
  readonly dir: string;
  readonly port: number;
  readonly size: number;
  /** What the supervisor printed; the servers' and workers' logs lie in DIR/node<i>/log. */
  readonly logFile: string;
  /** Multi-host URI for libpq. */
  readonly uri: string;
  readonly nodes: readonly NodeEntry[];
  node(id: number): NodeEntry;
  /** Single-host URIs of all data servers, in order of id. */
  dataUris(): string[];
  controlUris(): string[];
  /** Read cluster.json again. */
  refresh(): Promise<ClusterFile>;
  /** SIGKILL to the data server's postmaster alone; its children are left to themselves (H05). */
  killPostmaster(id: number): Process[];
  /** SIGKILL to worker, both servers and all their children at once. */
  killNode(id: number): Process[];
  killWorker(id: number): Process[];
  /** SIGSTOP to the same processes; returns when all are stopped. */
  freezeNode(id: number): Promise<Process[]>;
  /** SIGSTOP to the data server's postmaster and children. */
  freezeDataServer(id: number): Promise<Process[]>;
  /** SIGCONT to what a freeze returned. */
  thaw(frozen: readonly Process[]): void;
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
    limitMs: options.limitMs ?? 60_000,
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
    const recorded = [worker.pid, data.pid, control.pid];
    const roots = [...recorded, ...named.map(({ pid }) => pid), ...inside.map(({ pid }) => pid)];
    return withDescendants(all, roots).filter(({ pid }) => pid !== this.child?.pid);
  }

  dataServerOf(id: number): Process[] {
    const { data } = this.node(id);
    const all = allProcesses();
    const inside = workingIn(all, data.dir).map(({ pid }) => pid);
    return withDescendants(all, inside);
  }

  killPostmaster(id: number): Process[] {
    const { data } = this.node(id);
    const postmaster = postmasterOf(this.dataServerOf(id), data.dir);
    return signalTree(() => [postmaster].filter(stillAlive), "SIGKILL");
  }

  killNode(id: number): Process[] {
    const known = this.processesOf(id);
    const first = signalTree(() => known.filter(stillAlive), "SIGKILL");
    // What was forked while we listed still works in the node's folders.
    const { data, control } = this.node(id);
    const late = signalTree(() => {
      const all = allProcesses();
      const inside = [...workingIn(all, data.dir), ...workingIn(all, control.dir)];
      return inside.filter(({ pid, ppid }) =>
        first.some((old) => old.pid === ppid || old.pid === pid),
      );
    }, "SIGKILL");
    return [...first, ...late];
  }

  killWorker(id: number): Process[] {
    const worker = readProcess(this.node(id).worker.pid);
    if (worker === undefined) throw new Error(`worker of node ${id} is not running`);
    return signalTree(() => [worker].filter(stillAlive), "SIGKILL");
  }

  async freezeNode(id: number): Promise<Process[]> {
    return await freeze(() => this.processesOf(id));
  }

  async freezeDataServer(id: number): Promise<Process[]> {
    return await freeze(() => this.dataServerOf(id));
  }

  thaw(frozen: readonly Process[]): void {
    signalTree(() => frozen.filter(stillAlive), "SIGCONT");
  }

  async restart(): Promise<void> {
    const { dir, size, port, main, env, logFile, limitMs } = this.place;
    const log = await openFile(logFile, "a");
    const startedAt = Date.now();
    const args = [main, "demo", "--nodes", `${size}`, "--dir", dir, "--port", `${port}`];
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

/** Stop what `list` finds, the parents first as they come, until nothing new appears. */
async function freeze(list: () => Process[]): Promise<Process[]> {
  const frozen = signalTree(() => list().toSorted((a, b) => a.pid - b.pid), "SIGSTOP");
  if (frozen.length === 0) throw new Error("nothing to freeze");
  await untilFrozen(frozen, 2000);
  return frozen.filter(stillAlive);
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
