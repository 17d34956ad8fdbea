/** After an unclean end the pid in a lock file may be another's by now: the data server starts all the same. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ACTS } from "../../src/agent/acts.ts";
import { readPidFile } from "../../src/postgres/pid-file.ts";
import { type Bench, openPair, orderFor, untilStreaming } from "./harness.ts";

let bench: Bench;

beforeAll(async () => {
  bench = await openPair();
}, 60_000);
afterAll(() => bench?.stop(), 60_000);

/** A process of the same user: PostgreSQL believes it to be its own earlier run. */
const asAnothers = (text: string) => {
  const another = readPidFile(bench.node(1).agent.paths.dataDir)?.pid;
  return text.replace(/^\d+/, String(another));
};

test.each([
  { file: "postmaster.pid", left: asAnothers, what: "names another's process" },
  { file: "postmaster.pid", left: () => "", what: "is empty, as a crash of the machine leaves it" },
  { file: "socket", left: asAnothers, what: "names another's process" },
  { file: "socket", left: () => "", what: "is empty, as a crash of the machine leaves it" },
])(
  "$file: the lock $what",
  async ({ file, left }) => {
    const { agent, ...second } = bench.node(2);
    const { dataDir, socketDir } = agent.paths;
    const { server } = agent.state;
    if (server === undefined) throw new Error("it streams");
    process.kill(server.pid, "SIGKILL");
    await server.exited;
    const path =
      file === "socket"
        ? join(socketDir, `.s.PGSQL.${second.port}.lock`)
        : join(dataDir, "postmaster.pid");
    await writeFile(path, left(await readFile(path, "utf8")));
    await ACTS.start(agent, orderFor({ agent, ...second }));
    expect(readPidFile(dataDir)?.pid).toBe(agent.state.server?.pid);
    await ACTS.follow(agent, orderFor({ agent, ...second }));
    await untilStreaming({ agent, ...second });
  },
  60_000,
);
