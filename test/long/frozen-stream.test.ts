/** A server that freezes while its stream is idle and all is confirmed: nothing waits for it, and it is noticed. */
import { expect, test } from "vitest";
import { ReplicationClient } from "../../src/logical/index.ts";
import { collect, commits, openBench } from "../logical/bench.ts";
import { allProcesses, signalTree, untilFrozen, withDescendants } from "../support/processes.ts";

const LIMIT_MS = 12_000;

test("an idle stream of several hosts leaves a frozen server within 12 s", async () => {
  const bench = await openBench(undefined);
  const { host, port, process: server } = bench.server;
  const all = () => withDescendants(allProcesses(), [server.pid]);
  try {
    const config = await bench.slot();
    // The second one is nobody: with a place to go to, what the standbys hold is asked for.
    const hosts = [`${host}:${port}`, `${host}:1`];
    const { host: _, port: __, ...rest } = config;
    await bench.server.sql("insert into t values (1, 'a')");
    const client = await ReplicationClient.connect({ ...rest, hosts });
    const events: string[] = [];
    const done = client
      .consume(({ kind }) => void events.push(kind))
      .then(
        () => "ended",
        (error: unknown) => error,
      );
    await expect.poll(() => events.includes("commit")).toBe(true);
    await untilFrozen(signalTree(all, "SIGSTOP"), 5000);
    const since = performance.now();
    expect(await done).toMatchObject({ kind: "io", isTransient: true });
    expect(performance.now() - since).toBeLessThan(LIMIT_MS);
    signalTree(all, "SIGCONT");
    // Nothing is lost by it: the slot gives again what nobody acknowledged.
    const again = await ReplicationClient.connect(config);
    expect((await collect(again, commits(1))).some(({ kind }) => kind === "insert")).toBe(true);
  } finally {
    signalTree(all, "SIGCONT");
    await bench.lab.close();
  }
}, 60_000);
