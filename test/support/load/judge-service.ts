/** What became of everything the clients of the log as a service did. */
import { monotonicClock } from "../../../src/clock/clock.ts";
import { type KeyAnomaly, type KeyOperation, keyAnomalies } from "../../histories/keys.ts";
import {
  againstRealTime,
  type Dated,
  type LogAnomaly,
  type LogEntry,
  logAnomalies,
} from "../../histories/log.ts";
import type { ClusterView } from "../cluster.ts";
import { rows, value, withClient } from "../sql.ts";
import { NotYet, until } from "../until.ts";
import { type Counts, entriesAfter, type Service } from "./service.ts";

export interface ServiceVerdict {
  readonly counts: Readonly<Record<"keys" | "log", Readonly<Counts>>>;
  readonly keys: number;
  readonly entries: number;
  readonly looks: number;
  readonly anomalies: readonly (KeyAnomaly | LogAnomaly)[];
}

const APPLIED_MS = 30_000;

/** After `stop`, and once the cluster is whole. */
export async function judgeService(
  cluster: ClusterView,
  service: Service,
): Promise<ServiceVerdict> {
  const { operations, puts, looks, counts } = service;
  const keys = [...new Set(operations.map(({ key }) => key))];
  const last = await Promise.all(keys.map((key, at) => readLast(cluster, key, at)));
  const finals = await logs(cluster, service.name);
  const dated = puts.flatMap(({ index, requestId, startedAt, endedAt }): Dated[] =>
    index === undefined ? [] : [{ index, name: requestId, startedAt, endedAt }],
  );
  return {
    counts,
    keys: keys.length,
    entries: [...finals.values()][0]?.length ?? 0,
    looks: looks.length,
    anomalies: [
      ...keyAnomalies([...operations, ...last]),
      ...logAnomalies(puts, finals, looks),
      // A version is a place in the same log.
      ...againstRealTime([...dated, ...operations.flatMap(changed)]),
    ],
  };
}

function changed({ key, action, startedAt, endedAt }: KeyOperation): Dated[] {
  const { f } = action;
  const told = f === "put" || (f === "cas" && action.answer?.swapped && action.value !== null);
  const index = told ? action.answer?.version : undefined;
  return index === undefined ? [] : [{ index, name: key, startedAt, endedAt }];
}

/** Each key once more, on one node or another. */
async function readLast(cluster: ClusterView, key: string, at: number): Promise<KeyOperation> {
  const { uri } = cluster.nodes[at % cluster.nodes.length]?.control ?? { uri: "" };
  const startedAt = monotonicClock.now();
  const [row] = await rows<{ version: string; value: string }>(
    uri,
    "select version, value from pg_replica.kv_get_entry($1)",
    [key],
  );
  const answer = { version: Number(row?.version ?? 0), value: row?.value ?? null };
  return { key, action: { f: "get", answer }, startedAt, endedAt: monotonicClock.now() };
}

/** Every node's log, once every node has applied what any had. */
async function logs(cluster: ClusterView, name: string): Promise<Map<number, LogEntry[]>> {
  const newest = await Promise.all(
    cluster
      .controlUris()
      .map((uri) =>
        value(uri, "select coalesce(max(index), 0) from pg_replica.entries(0, 1000000)"),
      ),
  );
  const wanted = Math.max(...newest.map(Number));
  const finals = cluster.nodes.map(async ({ id, control }) => {
    const all = await until(`node ${id} has applied entry ${wanted}`, { limitMs: APPLIED_MS }, () =>
      withClient(control.uri, {}, async (client) => {
        const found = await entriesAfter(client, 0);
        if ((found.at(-1)?.index ?? 0) < wanted)
          throw new NotYet(`it is at ${found.at(-1)?.index}`);
        return found;
      }),
    );
    return [id, all.filter(({ requestId }) => requestId?.startsWith(`${name}/`))] as const;
  });
  return new Map(await Promise.all(finals));
}
