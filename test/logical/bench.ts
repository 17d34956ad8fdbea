/** A server that decodes, tables to watch, and short words for what the tests of a stream say again and again. */

import {
  type Commit,
  type Insert,
  Lsn,
  type ReplicationClient,
  type ReplicationConfig,
  type ReplicationEvent,
} from "../../src/logical/index.ts";
import { type Lab, type LabServer, openLab } from "../replication/lab.ts";

export interface Bench {
  readonly lab: Lab;
  readonly server: LabServer;
  /** A new slot, and how to stream from it. */
  slot(options?: { readonly twoPhase?: boolean }): Promise<ReplicationConfig>;
  confirmed(config: ReplicationConfig): Promise<Lsn>;
  isActive(config: ReplicationConfig): Promise<boolean>;
  walEnd(): Promise<Lsn>;
}

/** Publication `p` is of all tables; table `t (id int primary key, v text)` exists. */
export async function openBench(
  binDir: string | undefined,
  settings: Readonly<Record<string, string | number>> = {},
  hba?: string,
): Promise<Bench> {
  const lab = await openLab(binDir);
  const more = { wal_level: "logical", max_prepared_transactions: 5, max_replication_slots: 60 };
  const server = await lab.primary("primary", { ...more, max_wal_senders: 20, ...settings }, hba);
  await server.sql("create table t (id int primary key, v text)");
  await server.sql("create publication p for all tables");
  let slots = 0;
  const look = (column: string, { slot }: ReplicationConfig) =>
    server.value(`select ${column} from pg_replication_slots where slot_name = '${slot}'`);
  return {
    lab,
    server,
    slot: async ({ twoPhase = false } = {}) => {
      slots += 1;
      const slot = `s${slots}`;
      await server.sql(
        `select pg_create_logical_replication_slot('${slot}', 'pgoutput', false, ${twoPhase})`,
      );
      const { host, port, user } = server;
      return { host, port, user, slot, publication: "p" };
    },
    confirmed: async (config) => Lsn.parse(await look("confirmed_flush_lsn", config)),
    isActive: async (config) => (await look("active", config)) === "t",
    walEnd: async () => Lsn.parse(await server.value("select pg_current_wal_flush_lsn()")),
  };
}

/** All events until `last` says so, that one included; then the stream is stopped and read to its end. */
export async function collect(
  client: ReplicationClient,
  last: (event: ReplicationEvent) => boolean,
): Promise<ReplicationEvent[]> {
  const seen: ReplicationEvent[] = [];
  for await (const event of client) {
    seen.push(event);
    if (event.kind === "commit") client.updateAppliedLsn(event.endLsn);
    if (last(event)) client.stop();
  }
  return seen;
}

/** Until `count` transactions are through. */
export function commits(count: number): (event: ReplicationEvent) => boolean {
  let left = count;
  return (event) => event.kind === "commit" && --left === 0;
}

export const isCommit = (event: ReplicationEvent): event is Commit => event.kind === "commit";
export const inserts = (events: readonly ReplicationEvent[]): Insert[] =>
  events.filter((event): event is Insert => event.kind === "insert");
export const ids = (events: readonly ReplicationEvent[]): number[] =>
  inserts(events).map((event) => Number(event.new.id));

export const within = async <T>(
  ms: number,
  what: Promise<T>,
): Promise<{ ms: number; value: T }> => {
  const started = performance.now();
  const value = await what;
  const took = performance.now() - started;
  if (took > ms) throw new Error(`took ${took.toFixed(0)} ms, at most ${ms} were allowed`);
  return { ms: took, value };
};
