/** `pg-replica run`: this node's worker, in the foreground, until told to end. */

import { flushCompileCache } from "node:module";
import { CONFIG_HELP, type Command, configOf, parseCommand } from "./command.ts";
import { runHere } from "./worker-here.ts";

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
    await runHere(config, { signal: endSignal() });
    return 0;
  },
};

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
