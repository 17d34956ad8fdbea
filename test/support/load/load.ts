/**
 * Clients at work on a cluster, and what became of everything they did: W1, W2 twice, W6, and W3, W4 and W5 where asked
 * for.
 */
import type { Counts } from "../../histories/list-graph.ts";
import { judgeLists, type ListAnomaly } from "../../histories/lists.ts";
import type { ClusterView } from "../cluster.ts";
import { untilHealthy } from "../health.ts";
import type { Random } from "../random.ts";
import { nextWriter } from "../round.ts";
import { createWriterTable, startWriter, type Writer } from "../writer.ts";
import { type Bank, type BankVerdict, startBank } from "./bank.ts";
import { judgeService, type ServiceVerdict } from "./judge-service.ts";
import { type Ledger, openLedger, twoWriters, type Violation } from "./ledger.ts";
import { finalLists, type Lists, startLists } from "./lists.ts";
import { type Readings, type ReadingsVerdict, startReadings } from "./readings.ts";
import { type Service, startService } from "./service.ts";

export interface Load {
  /** Waits a quarter of a second for an answer: it measures gaps. */
  readonly hasty: Writer;
  /** Waits five seconds, as a client does that would rather know. */
  readonly patient: Writer;
  /** Both, and more where asked for. */
  readonly writers: readonly Writer[];
  readonly ledger: Ledger;
  readonly lists: Lists;
  readonly service: Service | undefined;
  readonly bank: Bank | undefined;
  readonly readings: Readings | undefined;
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
  readonly listAnomalies: readonly ListAnomaly[];
  /** What the lists' order was found from. */
  readonly listEdges: Counts;
  readonly service: ServiceVerdict | undefined;
  readonly bank: BankVerdict | undefined;
  readonly readings: ReadingsVerdict | undefined;
  /** Writes tried by the ledger, per node. */
  readonly samples: Readonly<Record<number, number>>;
}

/** Start all of it, and what is to go `with` it; the cluster must be healthy. */
export async function startLoad(
  cluster: ClusterView,
  random: Random,
  {
    with: more = [],
    writers: count = 0,
  }: {
    readonly with?: readonly ("service" | "bank" | "readings")[];
    readonly writers?: number;
  } = {},
): Promise<Load> {
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
  const others = Array.from({ length: count }, () =>
    startWriter({ hosts, table, writer: nextWriter(), connectMs: 1000, answerMs: 5000 }),
  );
  const ledger = await openLedger(cluster);
  const lists = await startLists(hosts, random);
  const service = more.includes("service") ? startService(cluster, random, "calm") : undefined;
  const bank = more.includes("bank") ? await startBank(cluster, random) : undefined;
  const readings = more.includes("readings") ? await startReadings(cluster) : undefined;
  const writers = [hasty, patient, ...others];
  return {
    hasty,
    patient,
    writers,
    ledger,
    lists,
    service,
    bank,
    readings,
    stop: async () => {
      const others = [ledger, lists, service, bank, readings].map((one) => one?.stop());
      await Promise.all([...writers.map((writer) => writer.stop()), ...others]);
    },
    judge: (view) => judge(view, writers, { ledger, lists, service, bank, readings }),
  };
}

async function judge(
  cluster: ClusterView,
  writers: readonly Writer[],
  { ledger, lists, ...more }: Pick<Load, "ledger" | "lists" | "service" | "bank" | "readings">,
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
  const { anomalies, edges } = judgeLists(lists.history, await finalLists(uri, lists.table));
  return {
    attempted: sum("attempted"),
    acknowledged: sum("acknowledged"),
    unknown: sum("unknown"),
    refused: sum("refused"),
    lost: named("lost"),
    invented: named("invented"),
    twoWriters: twoWriters(ledger.entries),
    transactions: { ok: outcomes("ok"), fail: outcomes("fail"), unknown: outcomes("unknown") },
    listAnomalies: anomalies,
    listEdges: edges,
    service: more.service === undefined ? undefined : await judgeService(cluster, more.service),
    bank: await more.bank?.judge(uri),
    readings: await more.readings?.judge(uri, { strict: false }),
    samples: Object.fromEntries(ledger.attempts),
  };
}
