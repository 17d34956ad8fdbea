/** `pg-replica demo`: a whole cluster on this machine, in the foreground, from first start to Ctrl-C. */
import { join } from "node:path";
import { monotonicClock } from "../clock/clock.ts";
import { findBinaries } from "../postgres/binaries.ts";
import { serverOwner } from "../postgres/owner.ts";
import { type Command, parseCommand, wholeNumber } from "./command.ts";
import { interrupts } from "./demo/interrupts.ts";
import { layOut } from "./demo/layout.ts";
import { type Demo, live } from "./demo/live.ts";
import { count, narrator } from "./demo/narrator.ts";
import { type Asked, DEFAULT_NODES, DEFAULT_PORT, openPlace } from "./demo/place.ts";
import { mustHavePorts } from "./demo/ports.ts";
import { claimPidFile } from "./pid-file.ts";

const HELP = `pg-replica demo [--nodes N] [--dir DIR] [--port P] [--tls]

Runs a cluster of N nodes on this machine and stays in the foreground; Ctrl-C stops all of it, a second
one at once. Started again on the same folder it goes on where it stopped.

  --nodes N    how many (default: ${DEFAULT_NODES})
  --dir DIR    where it lives (default: $XDG_STATE_HOME/pg-replica/demo, as root /var/lib/pg-replica/demo)
  --port P     data servers listen on P, P+1, …, control stores on P+50, P+51, … (default: ${DEFAULT_PORT})
  --tls        everything in TLS, by certificates of an authority made for this

DIR/cluster.json tells programs how to reach it, once it is ready.
`;

const MOST_NODES = 16;

export const command: Command = {
  help: HELP,
  async run(args) {
    // A closed terminal must not end the demo half-way through stopping.
    process.stdout.on("error", () => undefined);
    const signals = interrupts();
    const demo = await prepare(askedOf(args));
    try {
      await live(demo, signals);
      return 0;
    } finally {
      await demo.release();
    }
  },
};

function askedOf(args: readonly string[]): Asked {
  const { values } = parseCommand(args, {
    nodes: { type: "string" },
    dir: { type: "string" },
    port: { type: "string" },
    tls: { type: "boolean", default: false },
  });
  const number = (option: "nodes" | "port", to: number) => {
    const text = values[option];
    return text === undefined ? undefined : wholeNumber(`--${option}`, text, { from: 1, to });
  };
  const port = number("port", 65535 - 50 - MOST_NODES);
  return { nodes: number("nodes", MOST_NODES), port, dir: values.dir, tls: values.tls };
}

/** Everything that can be wrong before the first server starts. */
async function prepare(asked: Asked): Promise<Demo> {
  const clock = monotonicClock;
  const told = narrator(clock);
  const runAs = process.env.PG_REPLICA_RUN_AS ?? "postgres";
  const owner = await serverOwner(runAs);
  const place = await openPlace(asked, owner);
  const release = await claimPidFile(join(place.dir, "demo.pid"), `demo in ${place.dir}`);
  try {
    const { PG_REPLICA_BIN_DIR: binDir, ...others } = process.env;
    const copyEmbeddedTo = join(place.dir, "postgres");
    const binaries = await findBinaries({ binDir, owner, copyEmbeddedTo });
    const env = { ...others, PG_REPLICA_BIN_DIR: binaries.dir };
    const nodes = await layOut({ place, owner, binaries, runAs, env });
    await mustHavePorts(nodes);
    told.say(
      "demo",
      `${count(place.nodes, "node")} in ${place.dir}, PostgreSQL ${binaries.version}`,
    );
    return { place, nodes, owner, binaries, env, clock, narrator: told, release };
  } catch (error) {
    await release();
    throw error;
  }
}
