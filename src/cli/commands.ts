/** The command line: finds the command, prints its errors, sets the exit code. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { goFirst } from "../postgres/priority.ts";
import { type Command, print, UsageError } from "./command.ts";
import { describeError } from "./errors.ts";

/** Loaded when asked for: a worker need not carry the demo in its memory. */
const COMMANDS: Readonly<Record<string, () => Promise<{ command: Command }>>> = {
  init: () => import("./init.ts"),
  run: () => {
    // Before all it loads: where others want the processor too, its node's lease ends meanwhile.
    goFirst();
    return import("./run.ts");
  },
  stop: () => import("./stop.ts"),
  status: () => import("./status.ts"),
  failover: () => import("./failover.ts"),
  switchover: () => import("./switchover.ts"),
  recover: () => import("./recover.ts"),
  "install-extension": () => import("./install-extension.ts"),
  demo: () => import("./demo.ts"),
};

const HELP = `pg-replica COMMAND [OPTIONS]

  init         create this node's control store
  run          run this node: its worker, in the foreground
  stop         stop this node: worker, data server, control store
  status       show every member as this node sees it
  failover     replace the primary now
  switchover   move the primary as planned, losing nothing
  recover      go on alone when a majority is lost for good
  install-extension  let PostgreSQL accept "create extension pgraft"
  demo         run a whole cluster on this machine, in the foreground

  pg-replica COMMAND --help   what a command takes
  pg-replica --version
`;

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === "--version" || name === "-v") return say(packageVersion());
  if (name === "--help" || name === "-h" || name === "help") return say(HELP.trimEnd());
  const load = name === undefined ? undefined : COMMANDS[name];
  if (load === undefined || name === undefined) {
    const found = name === undefined ? "missing" : name;
    throw new UsageError(`command: ${found}: expected one of ${Object.keys(COMMANDS).join(", ")}`);
  }
  const { command } = await load();
  if (rest.includes("--help") || rest.includes("-h")) return say(command.help.trimEnd());
  return await command.run(rest);
}

function say(text: string): number {
  print(text);
  return 0;
}

function packageVersion(): string {
  const path = join(import.meta.dirname, "../../package.json");
  const { version } = JSON.parse(readFileSync(path, "utf8")) as { version: string };
  return version;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  for (const line of describeError(error)) process.stderr.write(`pg-replica: ${line}\n`);
  if (process.env.PG_REPLICA_DEBUG !== undefined) console.error(error);
  if (error instanceof UsageError) process.stderr.write("pg-replica: --help says what there is\n");
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
// A connection whose other side answers nothing would keep a worker that has ended here for a quarter of an hour: its
// successor could not begin, and `stop` would give up.
process.exit();
