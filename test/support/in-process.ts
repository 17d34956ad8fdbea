/** Three nodes, of which the first is run by this very process, and leads: the only one with a data server. */
import { createWriteStream } from "node:fs";
import { loadConfig, type RunningWorker, startWorker } from "../../src/index.ts";
import { type ByHand, prepareByHand } from "./by-hand.ts";
import { value } from "./sql.ts";
import { until } from "./until.ts";

export interface InProcess {
  readonly all: ByHand;
  readonly worker: RunningWorker;
  close(): Promise<void>;
}

/** `early`: called with the worker before anybody can lead. */
export async function startInProcess(
  early: (worker: RunningWorker) => Promise<void> = async () => undefined,
): Promise<InProcess> {
  const all = await prepareByHand(3, { witnesses: [2, 3] });
  try {
    for (const made of await Promise.all([1, 2, 3].map(all.init))) {
      if (made.exitCode !== 0) throw new Error(`init: ${made.stderr}`);
    }
    const log = createWriteStream(all.logOf(1));
    const worker = await startWorker(await loadConfig(all.configOf(1)), { logTo: log });
    const close = async () => {
      await worker.stop();
      log.end();
      await all.discard("remove");
    };
    await early(worker);
    await Promise.all([2, 3].map((id) => all.run(id)));
    await until("node 1 leads, and takes writes", { limitMs: 60_000 }, async () => {
      if (!worker.leads()) return false;
      return await value(all.node(1).control.uri, "select writable from pg_replica.cluster()");
    });
    return { all, worker, close };
  } catch (error) {
    await all.discard("keep");
    throw error;
  }
}
