/** `pg-replica stop`: end this node's worker, then its data server, then its control store. */
import { join } from "node:path";
import { monotonicClock, waitUntil } from "../clock/clock.ts";
import type { Config } from "../config/schema.ts";
import { connect } from "../db/connect.ts";
import { ReplicaError } from "../db/errors.ts";
import { cluster, status, switchover } from "../db/pg-replica.ts";
import { deadmanDirOf, endDeadman, stopGuarded } from "../postgres/deadman.ts";
import { isAlive } from "../postgres/process-tree.ts";
import { adoptServer } from "../postgres/server.ts";
import {
  CONFIG_HELP,
  type Command,
  CommandFailed,
  configOf,
  parseCommand,
  print,
} from "./command.ts";
import { runningFrom } from "./pid-file.ts";
import { type Programs, programsOf } from "./programs.ts";
import { DEFAULT_WAIT_MS, statementLimit } from "./request.ts";
import { ownStore } from "./store.ts";

const HELP = `pg-replica stop --config FILE [--no-switchover]

Stops this node: its worker, its data server (fast), its control store. When it is the primary and
the other nodes can take writes without it, the primary moves there first.

${CONFIG_HELP}
  --no-switchover   stop a primary as it is; the others will replace it
`;

const WORKER_LIMIT_MS = 30_000;
const SERVER_LIMIT_MS = 60_000;

export const command: Command = {
  help: HELP,
  async run(args) {
    const { values } = parseCommand(args, {
      config: { type: "string" },
      "no-switchover": { type: "boolean", default: false },
    });
    const config = await configOf(values.config);
    const programs = await programsOf(config);
    if (!values["no-switchover"]) await moveAway(config);
    print(`worker: ${await stopWorker(config)}`);
    if (config.data !== undefined) {
      const dir = deadmanDirOf(config.dir);
      print(`data server: ${await stopServer(programs, config.data.dir, dir)}`);
      await endDeadman(dir, monotonicClock);
    }
    print(`control store: ${await stopServer(programs, config.control.dir)}`);
    return 0;
  },
};

/**
 * Hand the primary over when this node has it and the others can take writes without it: one of them, and
 * as many standbys as a commit needs. Otherwise nobody is helped by a new primary.
 */
async function moveAway(config: Config): Promise<void> {
  if ((await runningFrom(workerPidFile(config))) === undefined) return;
  const store = await connect(
    ownStore(config, { statementLimitMs: statementLimit(DEFAULT_WAIT_MS) }),
  );
  try {
    const members = await status(store);
    const own = members.find(({ node_id }) => node_id === config.node.id);
    const others = members.filter(({ state }) => state === "streaming");
    const { quorum } = await cluster(store);
    if (own?.role !== "primary" || others.length < quorum) return;
    const ask = { target: undefined, at: undefined, waitMs: DEFAULT_WAIT_MS };
    const row = await switchover(store, ask).catch(withoutMajority);
    if (row === undefined) return;
    if (row.state !== "done") {
      const hint = "--no-switchover stops it all the same";
      throw new CommandFailed(`switchover: ${row.state}: expected done: ${row.reason} (${hint})`);
    }
    print(`primary: moved to node ${row.to_node}, no writes for ${row.write_gap_ms} ms`);
  } finally {
    await store.end();
  }
}

/** Others that stopped a moment ago still look alive: with no majority nobody takes over, and nobody writes. */
function withoutMajority(error: unknown): undefined {
  if (!(error instanceof ReplicaError && error.kind === "no_leader")) throw error;
  print(`primary: not moved: ${error.message}`);
}

async function stopWorker(config: Config): Promise<string> {
  const worker = await runningFrom(workerPidFile(config));
  if (worker === undefined) return "was not running";
  process.kill(worker.pid, "SIGTERM");
  const wait = { clock: monotonicClock, everyMs: 20, limitMs: WORKER_LIMIT_MS };
  await waitUntil(`worker (pid ${worker.pid}) ends`, wait, () => !isAlive(worker));
  return `stopped (pid ${worker.pid})`;
}

async function stopServer(
  { binaries }: Programs,
  dataDir: string,
  deadman?: string,
): Promise<string> {
  const server = await adoptServer({ binaries, dataDir });
  if (server === undefined) return "was not running";
  const limitMs = SERVER_LIMIT_MS;
  if (deadman === undefined) await server.stop("fast", limitMs);
  else await stopGuarded(server, { dir: deadman, clock: monotonicClock, limitMs });
  return `stopped (pid ${server.pid})`;
}

function workerPidFile(config: Config): string {
  return join(config.dir, "run/worker.pid");
}
