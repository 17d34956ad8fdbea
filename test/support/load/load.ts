/** Clients at work on a cluster, and what became of everything they did: W1, W2 twice, W6. */
import type { ClusterView } from "../cluster.ts";
import { untilHealthy } from "../health.ts";
import type { Random } from "../random.ts";
import { nextWriter } from "../round.ts";
import { createWriterTable, startWriter, type Writer } from "../writer.ts";
import { type Ledger, openLedger, twoWriters, type Violation } from "./ledger.ts";
import { finalLists, type Lists, listFaults, startLists } from "./lists.ts";

export interface Load {
  /** Waits a quarter of a second for an answer: it measures gaps. */
  readonly hasty: Writer;
  /** Waits five seconds, as a client does that would rather know. */
  readonly patient: Writer;
  readonly ledger: Ledger;
  readonly lists: Lists;
  stop(): Promise<void>;
  /** After `stop`, and once the cluster is whole: what is there, against what was promised. */
  judge(cluster: ClusterView): Promise<Verdict>;
}

export interface Verdict {
  readonly attempted: number;
  readonly acknowledged: number;
  readonly unknown: number;
  readonly refused: number;
  /** Acknowledged and not there (D1). */
  readonly lost: readonly string[];
  /** There, and never attempted or refused (D2). */
  readonly invented: readonly string[];
  /** D6. */
  readonly twoWriters: readonly Violation[];
  /** Transactions of W1, and what is wrong with them. */
  readonly transactions: Readonly<Record<"ok" | "fail" | "unknown", number>>;
  readonly listFaults: readonly string[];
  /** Writes tried by the ledger, per node. */
  readonly samples: Readonly<Record<number, number>>;
}

/** Start all of it; the cluster must be healthy. */
export async function startLoad(cluster: ClusterView, random: Random): Promise<Load> {
  const table = "written";
  const hosts = cluster.dataUris();
  const { primary } = await untilHealthy(cluster);
  await createWriterTable(cluster.node(primary).data.uri, table);
  const hasty = startWriter({ hosts, table, writer: nextWriter(), everyMs: 5 });
  const patient = startWriter({
    hosts,
    table,
    writer: nextWriter(),
    everyMs: 20,
    connectMs: 1000,
    answerMs: 5000,
  });
  const ledger = await openLedger(cluster);
  const lists = await startLists(cluster, random);
  const writers = [hasty, patient];
  return {
    hasty,
    patient,
    ledger,
    lists,
    stop: async () => {
      await Promise.all([...writers.map((writer) => writer.stop()), ledger.stop(), lists.stop()]);
    },
    judge: (view) => judge(view, writers, { ledger, lists }),
  };
}

async function judge(
  cluster: ClusterView,
  writers: readonly Writer[],
  { ledger, lists }: Pick<Load, "ledger" | "lists">,
): Promise<Verdict> {
  const { primary } = await untilHealthy(cluster);
  const { uri } = cluster.node(primary).data;
  const outcomes = (wanted: string) =>
    lists.history.filter(({ outcome }) => outcome === wanted).length;
  const results = await Promise.all(writers.map((writer) => writer.check(uri)));
  const sum = (key: "attempted" | "acknowledged" | "unknown" | "refused") =>
    results.reduce((total, one) => total + one[key], 0);
  const named = (key: "lost" | "invented") =>
    results.flatMap((one, index) => one[key].map((id) => `writer ${index + 1}, id ${id}`));
  return {
    attempted: sum("attempted"),
    acknowledged: sum("acknowledged"),
    unknown: sum("unknown"),
    refused: sum("refused"),
    lost: named("lost"),
    invented: named("invented"),
    twoWriters: twoWriters(ledger.entries),
    transactions: { ok: outcomes("ok"), fail: outcomes("fail"), unknown: outcomes("unknown") },
    listFaults: listFaults(lists.history, await finalLists(uri, lists.table)),
    samples: Object.fromEntries(ledger.attempts),
  };
}
