/** Is every port the demo wants free, or held by the demo's own servers? Asked before anything starts. */
import { createServer } from "node:net";
import { readPidFile } from "../../postgres/pid-file.ts";
import { processInfo } from "../../postgres/process-tree.ts";
import { CommandFailed } from "../command.ts";
import type { DemoNode } from "./layout.ts";

/** Throws `CommandFailed` that names every occupied port. */
export async function mustHavePorts(nodes: readonly DemoNode[]): Promise<void> {
  const wanted = nodes.flatMap(({ config: { node, data, control } }) => [
    { what: `the control store of ${node.name}`, ...control },
    ...(data === undefined ? [] : [{ what: `the data server of ${node.name}`, ...data }]),
  ]);
  const problems: string[] = [];
  for (const { what, host, port, dir } of wanted) {
    const problem = runsAlready(dir, port) ? undefined : await problemWith(host, port);
    if (problem !== undefined)
      problems.push(`port ${port}: ${problem}: expected it free for ${what}`);
  }
  if (problems.length === 0) return;
  throw new CommandFailed(`${problems.join("\n")}\n--port P moves all of them`);
}

/** A server of ours that outlived an earlier demo. */
function runsAlready(dataDir: string, port: number): boolean {
  const told = readPidFile(dataDir);
  return told?.port === port && processInfo(told.pid) !== undefined;
}

function problemWith(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      resolve(error.code === "EADDRINUSE" ? "another program listens there" : error.message);
    });
    server.listen({ host, port, exclusive: true }, () => {
      server.close(() => resolve(undefined));
    });
  });
}
