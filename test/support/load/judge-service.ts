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
import { value, withClient } from "../sql.ts";
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
  const last = (
    await Promise.all(cluster.nodes.map((_, turn) => readLast(cluster, keys, turn)))
  ).flat();
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

/** One node's share of the keys, each once more, one after the other. */
async function readLast(
  cluster: ClusterView,
  keys: readonly string[],
  turn: number,
): Promise<KeyOperation[]> {
  const { uri } = cluster.nodes[turn]?.control ?? { uri: "" };
  const own = keys.filter((_, at) => at % cluster.nodes.length === turn);
  return await withClient(uri, {}, async (client) => {
    const found: KeyOperation[] = [];
    for (const key of own) {
      const startedAt = monotonicClock.now();
      const text = "select version, value from pg_replica.kv_get_entry($1)";
      const { rows } = await client.query<{ version: string; value: string }>(text, [key]);
      const [row] = rows;
      const answer = { version: Number(row?.version ?? 0), value: row?.value ?? null };
      found.push({ key, action: { f: "get", answer }, startedAt, endedAt: monotonicClock.now() });
    }
    return found;
  });
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
