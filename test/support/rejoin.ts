/** What the tests of losers share: WAL that nobody receives, and how a node came back. */
import { parseLsn } from "../../src/core/ids.ts";
import type { Cluster, Injection } from "./cluster.ts";
import { primaries } from "./health.ts";
import { readProcess, signalAtOnce, untilFrozen } from "./processes.ts";
import { firstAnswer, rows, value, writesThatPass } from "./sql.ts";
import { NotYet, until } from "./until.ts";

/** Stop the primary's walsender towards one standby: its slot stays taken, so the standby gets nothing more. */
export async function cutStream(
  cluster: Cluster,
  primary: number,
  standby: number,
): Promise<Injection> {
  const pid = await value(
    cluster.node(primary).data.uri,
    "select pid from pg_stat_replication where application_name like $1",
    [`pgr\\_${standby}\\_%`],
  );
  const sender = readProcess(Number(pid));
  if (sender === undefined) throw new Error(`no walsender for node ${standby}`);
  const at = signalAtOnce([sender], "SIGSTOP");
  await untilFrozen([sender], 1000);
  return { at, processes: [sender] };
}

/** Rows that only this primary has, and promised nobody. */
export async function writeOrphans(uri: string, table: string, count: number): Promise<void> {
  const insert = `insert into ${table} select generate_series(1, ${count})`;
  await rows(uri, insert, [], { options: "-c synchronous_commit=local" });
}

export interface Event extends Record<string, unknown> {
  readonly event_id: string;
  readonly node_id: number | null;
  readonly event: string;
  readonly reason: string;
}

/** Events of the cluster after one of them, oldest first. */
export function eventsAfter(cluster: Cluster, after: string): Promise<Event[]> {
  return firstAnswer(cluster.controlUris(), (uri) => eventsOf(uri, after));
}

/** The same as one node knows them. */
export function eventsOf(uri: string, after: string): Promise<Event[]> {
  const text = "select event_id::text, node_id, event, reason from pg_replica.events($1)";
  return rows<Event>(uri, text, [after]);
}

export async function lastEvent(cluster: Cluster): Promise<string> {
  const text = "select coalesce(max(event_id), 0) from pg_replica.events(0, 1000000)";
  return firstAnswer(cluster.controlUris(), (uri) => value(uri, text));
}

/** Wait until a node has come back, and say by which way: its events after `after`, in order. */
export async function untilBack(
  cluster: Cluster,
  id: number,
  { after, limitMs = 60_000 }: { readonly after: string; readonly limitMs?: number },
): Promise<Event[]> {
  await until(`node ${id} streams`, { limitMs, everyMs: 50 }, async () => {
    const [primary] = await primaries(cluster);
    if (primary === undefined || primary === id) throw new NotYet(`primary: ${primary}`);
    const found = await rows(
      cluster.node(primary).data.uri,
      "select from pg_stat_replication where application_name like $1 and state = 'streaming'",
      [`pgr\\_${id}\\_%`],
    );
    return found.length === 1;
  });
  return (await eventsAfter(cluster, after)).filter(({ node_id }) => node_id === id);
}

/** Try to write on one node, in every way there is, until told to stop; the ways that passed. */
export function attack(uri: string, statement: string): { stop(): Promise<string[]> } {
  const controller = new AbortController();
  const passed: string[] = [];
  const work = (async () => {
    while (!controller.signal.aborted) {
      passed.push(...(await writesThatPass(uri, statement)));
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  })();
  return {
    async stop() {
      controller.abort();
      await work;
      return passed;
    },
  };
}

export async function replayedBy(cluster: Cluster, id: number): Promise<bigint> {
  return parseLsn(await value(cluster.node(id).data.uri, "select pg_last_wal_replay_lsn()"));
}
