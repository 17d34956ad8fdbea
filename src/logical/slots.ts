/** Slots and publications: made, looked at and dropped by name, over the same connection options as a stream. */
import { identifier, literal } from "../replication/quote.ts";
import { ReplicationError, toReplicationError } from "./errors.ts";
import { Lsn } from "./lsn.ts";
import { type ReplicationConfig, type Settings, settingsOf } from "./options.ts";
import { rows } from "./rows.ts";
import { dial, inTime } from "./upstream.ts";

/** Where to connect, as whom; the first host that is a primary serves. */
export type AdminConfig = Omit<ReplicationConfig, "slot" | "publications" | "publication">;

export interface NewSlot {
  readonly name: string;
  /** PostgreSQL 17 and newer: kept on the standbys too, and so usable after a failover. */
  readonly failover?: boolean;
  readonly twoPhase?: boolean;
}

export interface SlotState {
  readonly name: string;
  readonly active: boolean;
  readonly confirmedFlushLsn: Lsn | null;
  readonly restartLsn: Lsn | null;
  /** `reserved`, `extended`, `unreserved` or `lost`. */
  readonly walStatus: string | null;
}

/** Answers where the slot begins. Throws ReplicationError; 42710 when it exists. */
export async function createSlot(config: AdminConfig, slot: NewSlot): Promise<Lsn> {
  const { name, failover = false, twoPhase = false } = slot;
  const more = failover ? `, failover => true` : "";
  const sql = `select lsn::text from pg_create_logical_replication_slot(
    ${literal(name)}, 'pgoutput', false, ${twoPhase}${more})`;
  const [row] = await onPrimary(config, sql);
  return Lsn.parse(row?.[0] ?? "");
}

/** Throws ReplicationError; 42704 when there is none, 55006 while it is in use. */
export async function dropSlot(config: AdminConfig, name: string): Promise<void> {
  await onPrimary(config, `select pg_drop_replication_slot(${literal(name)})`);
}

/** undefined: there is no such slot. */
export async function slotState(config: AdminConfig, name: string): Promise<SlotState | undefined> {
  const [row] = await onPrimary(
    config,
    `select active, confirmed_flush_lsn::text, restart_lsn::text, wal_status
     from pg_replication_slots where slot_name = ${literal(name)}`,
  );
  if (row === undefined) return undefined;
  const [active, confirmed, restart, walStatus = null] = row;
  const lsn = (text: string | null | undefined) => (text == null ? null : Lsn.parse(text));
  return {
    name,
    active: active === "t",
    confirmedFlushLsn: lsn(confirmed),
    restartLsn: lsn(restart),
    walStatus,
  };
}

/** `tables` as `schema.table` or `table`, each part taken as it is; none: all tables. */
export async function createPublication(
  config: AdminConfig,
  name: string,
  tables: readonly (string | readonly [schema: string, table: string])[] = [],
): Promise<void> {
  const list = tables.map((table) =>
    typeof table === "string" ? identifier(table) : table.map(identifier).join("."),
  );
  const target = list.length === 0 ? "all tables" : `table ${list.join(", ")}`;
  await onPrimary(config, `create publication ${identifier(name)} for ${target}`);
}

export async function dropPublication(config: AdminConfig, name: string): Promise<void> {
  await onPrimary(config, `drop publication ${identifier(name)}`);
}

async function onPrimary(config: AdminConfig, sql: string) {
  const settings: Settings = settingsOf({ ...config, slot: "none", publications: ["none"] });
  const refused: string[] = [];
  for (const node of settings.hosts) {
    try {
      const connection = await inTime(node, settings, undefined, (signal) =>
        dial(node, settings, signal),
      );
      try {
        const [standby] = await rows(connection, "select pg_is_in_recovery()");
        if (standby?.[0] === "f") return await rows(connection, sql);
        refused.push(`${connection.peer} is a standby`);
      } finally {
        await connection.close();
      }
    } catch (cause) {
      const error = toReplicationError(cause);
      if (!error.isTransient || settings.hosts.length === 1) throw error;
      refused.push(error.message);
    }
  }
  throw new ReplicationError("io", `no primary answers: ${refused.join("; ")}`);
}
