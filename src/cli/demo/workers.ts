/** One worker process per node, started again when it exits, until told to stop. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, waitUntil } from "../../clock/clock.ts";
import { readPidFile } from "../../postgres/pid-file.ts";
import { isAlive, processInfo } from "../../postgres/process-tree.ts";
import { runningFrom } from "../pid-file.ts";
import type { DemoNode } from "./layout.ts";
import type { Narrator } from "./narrator.ts";

export interface Workers {
  /** Undefined while it does not run. */
  pid(nodeId: number): number | undefined;
  /** End them all: politely, or at once when `hurry` aborts. Tells how many there were. */
  stop(hurry: AbortSignal): Promise<number>;
}

export interface WorkersOptions {
  readonly nodes: readonly DemoNode[];
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly narrator: Narrator;
  /** A worker kept failing and is left alone. */
  readonly onGivenUp: (node: DemoNode, why: string) => void;
}

const MAIN = join(
  import.meta.dirname,
  "..",
  `main${import.meta.filename.endsWith(".ts") ? ".ts" : ".js"}`,
);
/** A worker's data is small and short-lived: a heap that is allowed to grow only makes it bigger. */
const SMALL = ["--max-semi-space-size=1", "--max-old-space-size=160"];
/** Well within the primary's lease: a worker that comes back in time costs no failover. */
const FIRST_DELAY_MS = 100;
/** A node of which nothing is left is in no hurry: its start would take the processor from those who take over. */
const WHOLE_NODE_DELAY_MS = 1000;
const LONGEST_DELAY_MS = 10_000;
const WINDOW_MS = 60_000;
const MOST_EXITS = 5;
const END_LIMIT_MS = 15_000;

/** Start all of them at once; each is then looked after on its own. */
export function startWorkers(options: WorkersOptions): Workers {
  const stopping = new AbortController();
  const children = new Map<number, ChildProcess>();
  const loops = options.nodes.map((node) => keepRunning(node, options, children, stopping.signal));
  return {
    pid: (nodeId) => children.get(nodeId)?.pid,
    async stop(hurry) {
      stopping.abort();
      const ends = [...children.values()].map((child) => end(child, options.clock, hurry));
      await Promise.all(ends);
      await Promise.all(loops);
      return ends.length;
    },
  };
}

async function keepRunning(
  node: DemoNode,
  { env, clock, narrator, onGivenUp }: WorkersOptions,
  children: Map<number, ChildProcess>,
  stopping: AbortSignal,
): Promise<void> {
  const { id, name } = node.config.node;
  let failures: number[] = [];
  await endLeftover(node, clock);
  for (let delay = FIRST_DELAY_MS; !stopping.aborted; ) {
    const began = clock.now();
    const child = await startWorker(node, env);
    children.set(id, child);
    if (stopping.aborted) child.kill("SIGTERM");
    const how = await exitOf(child);
    children.delete(id);
    if (stopping.aborted) return;
    const now = clock.now();
    if (!how.killed) failures = [...failures.filter((at) => now - at < WINDOW_MS), now];
    const why = how.killed ? "" : await lastWords(node);
    if (failures.length >= MOST_EXITS) {
      onGivenUp(node, `its worker ended ${MOST_EXITS} times within a minute${why}`);
      return;
    }
    delay = now - began > WINDOW_MS / 2 || how.killed ? FIRST_DELAY_MS : delay * 2;
    narrator.say(name, `worker ended (${how.text}), starting it again${why}`);
    await clock.sleep(Math.min(delay, LONGEST_DELAY_MS), stopping);
    if (!serves(node)) await clock.sleep(WHOLE_NODE_DELAY_MS, stopping);
  }
}

/** Whether the node's data server still runs. */
function serves({ config }: DemoNode): boolean {
  const pid = config.data === undefined ? undefined : readPidFile(config.data.dir)?.pid;
  const state = pid === undefined ? undefined : processInfo(pid)?.state;
  return state !== undefined && state !== "Z";
}

/** Detached: a Ctrl-C on the terminal is for the demo alone, which ends its workers in order. */
async function startWorker({ file, config }: DemoNode, env: NodeJS.ProcessEnv) {
  const log = await open(logFile(config.dir), "a", 0o600);
  try {
    const child = spawn(process.execPath, [...SMALL, MAIN, "run", "--config", file], {
      detached: true,
      stdio: ["ignore", log.fd, log.fd],
      env,
    });
    await once(child, "spawn");
    return child;
  } finally {
    await log.close();
  }
}

function logFile(nodeDir: string): string {
  return join(nodeDir, "log/worker.log");
}

/** A worker that an earlier demo left behind, when it was killed itself. */
async function endLeftover({ config }: DemoNode, clock: Clock): Promise<void> {
  const left = await runningFrom(join(config.dir, "run/worker.pid"));
  if (left === undefined) return;
  process.kill(left.pid, "SIGTERM");
  const wait = { clock, everyMs: 20, limitMs: END_LIMIT_MS };
  await waitUntil(`earlier worker of ${config.node.name} ends`, wait, () => !isAlive(left));
}

interface Exit {
  readonly text: string;
  /** By somebody's signal: no sign of a worker that cannot work. */
  readonly killed: boolean;
}

async function exitOf(child: ChildProcess): Promise<Exit> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  const { exitCode, signalCode } = child;
  const killed = signalCode === "SIGKILL" || signalCode === "SIGTERM";
  return { text: signalCode === null ? `exit ${exitCode}` : `${signalCode}`, killed };
}

async function end(child: ChildProcess, clock: Clock, hurry: AbortSignal): Promise<void> {
  const gone = new AbortController();
  const exited = exitOf(child).then(() => gone.abort());
  // A frozen one (SIGSTOP) hears nothing.
  const frozen = processInfo(child.pid ?? 0)?.state === "T";
  child.kill(frozen ? "SIGKILL" : "SIGTERM");
  const patience = AbortSignal.any([gone.signal, hurry]);
  await clock.sleep(END_LIMIT_MS, patience);
  if (!gone.signal.aborted) child.kill("SIGKILL");
  await exited;
}

/** The last line of its log that people can use, for the message. */
async function lastWords({ config }: DemoNode): Promise<string> {
  const text = await readFile(logFile(config.dir), "utf8").catch(() => "");
  const lines = text.trimEnd().split("\n").slice(-20);
  const plain = lines.findLast((line) => line.startsWith("pg-replica: "));
  return plain === undefined ? `; see ${logFile(config.dir)}` : `: ${plain.slice(12)}`;
}
