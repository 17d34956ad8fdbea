/** `pg-replica run`: this node's worker, in the foreground, until told to end. */
import { flushCompileCache } from "node:module";
import { uptime } from "node:os";
import { join } from "node:path";
import { type Clock, monotonicClock, sleepCountingClock } from "../clock/clock.ts";
import { createLog } from "../log/logger.ts";
import { makeDirectory } from "../postgres/files.ts";
import { serverOwner } from "../postgres/owner.ts";
import { withRoom } from "../worker/ballast.ts";
import { runWorker } from "../worker/worker.ts";
import { CONFIG_HELP, type Command, configOf, parseCommand } from "./command.ts";
import { claimPidFile } from "./pid-file.ts";

const HELP = `pg-replica run --config FILE

Runs this node's worker in the foreground and logs JSON lines to standard output. On SIGTERM or SIGINT
it ends and leaves both servers running; its successor takes them over. "stop" stops all of it. A primary
runs on without a worker for the rest of its lease only, 3 s at most.

${CONFIG_HELP}
`;

export const command: Command = {
  help: HELP,
  async run(args) {
    const { values } = parseCommand(args, { config: { type: "string" } });
    const config = await configOf(values.config);
    // At once: a worker that is killed leaves nothing for its successor.
    flushCompileCache();
    const run = join(config.dir, "run");
    const owner = await serverOwner(config.runAs);
    const log = createLog({ node: config.node.name }, { level: config.logLevel });
    const release = await withRoom(config, log, async () => {
      await makeDirectory(run, { owner, mode: 0o755 });
      return claimPidFile(join(run, "worker.pid"), `worker of ${config.node.name}`);
    });
    try {
      const adjust = { debugging: log.debugging, setLevel: log.setLevel };
      await runWorker(config, { owner, clock: workerClock(), log, adjust, signal: endSignal() });
    } finally {
      await release();
    }
    return 0;
  },
};

/** Where the system tells for how long it has been up, sleep is counted too (H32). */
function workerClock(): Clock {
  if (process.platform !== "linux") return monotonicClock;
  return sleepCountingClock(monotonicClock, () => uptime() * 1000);
}

/** Aborted by SIGTERM or SIGINT, again and again: a worker ends one way only. */
function endSignal(): AbortSignal {
  const controller = new AbortController();
  // What service managers send for "reload": certificates are looked at every second anyway.
  process.on("SIGHUP", () => undefined);
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    process.on(name, () => controller.abort(new Error(`asked to end by ${name}`)));
  }
  return controller.signal;
}
