/** A primary with our functions, and members that follow it under their own names, logins and slots. */
import { randomUUID } from "node:crypto";
import {
  formatLsn,
  type Lsn,
  nodeRole,
  parseLsn,
  slotName,
  standbyName,
} from "../../../src/core/ids.ts";
import { connect as connectSql } from "../../../src/db/connect.ts";
import { install } from "../../../src/db/install.ts";
import { statusUpdate } from "../../../src/logical/wal-message.ts";
import { takeBaseBackup } from "../../../src/replication/base-backup.ts";
import { connect } from "../../../src/replication/connection.ts";
import { clock, type Lab, type LabServer, openLab } from "../../replication/lab.ts";
import { until } from "../../support/until.ts";

export type Row = Record<string, unknown>;

export const MEMBER = standbyName(2, "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa");
export const CASCADED = standbyName(3, "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb");

export interface Pair {
  readonly lab: Lab;
  readonly primary: LabServer;
  readonly standby: LabServer;
}

/** Stop the standby and start it again with other settings. */
export async function restarted(
  { lab, primary, standby }: Pair,
  settings: Record<string, string>,
): Promise<LabServer> {
  await standby.process.stop("fast", 20_000);
  return lab.standby(standby.dir, primary, { ...settings, port: standby.port });
}

/** A session over TCP, ended by the caller. */
export function session({ host, port }: LabServer, user = "postgres") {
  return connectSql({ host, port, user, applicationName: "test", connectLimitMs: 5000 });
}

/** Rows of one statement on a session of its own. */
export async function ask(server: LabServer, text: string, user?: string): Promise<Row[]> {
  const db = await session(server, user);
  try {
    return (await db.query(text)).rows as Row[];
  } finally {
    await db.end();
  }
}

export async function one(server: LabServer, text: string, user?: string): Promise<Row> {
  const [row, ...more] = await ask(server, text, user);
  if (row === undefined || more.length > 0) throw new Error(`${more.length} more rows: ${text}`);
  return row;
}

/** The words of a member's `primary_conninfo` and `primary_slot_name`. */
export function following(source: LabServer, id: number, name: string): Record<string, string> {
  const { host, port } = source;
  return {
    primary_conninfo: `host=${host} port=${port} user=${nodeRole(id)} application_name=${name}`,
    primary_slot_name: slotName(id),
    wal_receiver_status_interval: "1s",
    wal_retrieve_retry_interval: "100ms",
    hot_standby_feedback: "off",
  };
}

export async function openPair(binDir: string | undefined, settings = {}): Promise<Pair> {
  const lab = await openLab(binDir);
  try {
    const primary = await lab.primary("primary", { wal_log_hints: "on", ...settings });
    const db = await session(primary);
    await install(db, "data");
    await db.end();
    for (const id of [2, 3]) {
      await primary.sql(
        `create role ${nodeRole(id)} login replication;
         select pg_create_physical_replication_slot('${slotName(id)}', true)`,
      );
    }
    await primary.sql(
      "create role watcher login in role pgreplica_monitor; create role nobody login",
    );
    await primary.sql("create table t (id integer primary key, text text)");
    const standby = await copyOf(lab, primary, "standby", following(primary, 2, MEMBER));
    await untilStreaming(standby);
    return { lab, primary, standby };
  } catch (error) {
    await lab.close();
    throw error;
  }
}

/** Another standby of `source`. */
export async function copyOf(
  lab: Lab,
  source: LabServer,
  name: string,
  settings: Record<string, string>,
): Promise<LabServer> {
  await takeBaseBackup({
    host: source.host,
    port: source.port,
    user: source.user,
    dir: lab.path(name),
    owner: lab.owner,
    label: name,
    clock,
    signal: new AbortController().signal,
  });
  return lab.standby(lab.path(name), source, settings);
}

export async function untilStreaming(standby: LabServer): Promise<void> {
  await until("the standby streams", { limitMs: 20_000 }, async () => {
    const rows = await standby.sql("select from pg_stat_wal_receiver where status = 'streaming'");
    return rows.length === 1;
  });
}

/** ALTER SYSTEM and reload; a new session sees it at once, others soon. */
export async function set(server: LabServer, settings: Record<string, string>): Promise<void> {
  for (const [name, value] of Object.entries(settings))
    await server.sql(`alter system set ${name} = '${value.replaceAll("'", "''")}'`);
  await server.sql("select pg_reload_conf()");
  await until("the settings are taken", { limitMs: 10_000 }, async () => {
    const values = Object.keys(settings).map((name) => `current_setting('${name}')`);
    const [row = []] = await server.sql(`select ${values}`);
    return Object.values(settings).every((value, index) => row[index] === value);
  });
}

/** WAL records that no commit has to flush. */
export function write(primary: LabServer, bytes: number): Promise<unknown> {
  const text = `repeat('${randomUUID()}', 200)`;
  return primary.sql(
    `select pg_logical_emit_message(false, 'test', ${text}) from generate_series(1, ${Math.ceil(bytes / 7200)});
     insert into t select coalesce(max(id), 0) + 1, 'x' from t`,
  );
}

export interface Impostor {
  /** Say that so much is written, flushed and replayed. */
  report(lsn: Lsn): void;
  close(): void;
}

/** Whoever streams WAL under a name, and confirms what it likes: to a primary it is a standby (H07). */
export async function stream(
  server: LabServer,
  { name, user = "postgres", slot }: { name: string; user?: string; slot?: string },
): Promise<Impostor> {
  const connection = await connect({
    host: server.host,
    port: server.port,
    user,
    applicationName: name,
    replication: "physical",
    clock,
  });
  const from = await server.value("select pg_current_wal_flush_lsn()");
  const start = formatLsn((parseLsn(from) >> 24n) << 24n);
  await connection.stream(
    `START_REPLICATION ${slot === undefined ? "" : `SLOT ${slot} `}PHYSICAL ${start}`,
    { data: () => undefined, message: () => undefined, lost: () => undefined },
  );
  return {
    report: (lsn) =>
      connection.send(
        statusUpdate({
          written: lsn,
          flushed: lsn,
          applied: lsn,
          nowMicros: Date.now() * 1000,
          replyRequested: false,
        }),
      ),
    close: () => connection.destroy(new Error("the test is over")),
  };
}
