/** The commands that only a replication session knows, with typed answers. */
import { type Lsn, parseLsn } from "../core/ids.ts";
import { type Connection, type ConnectOptions, connect, type ResultSet } from "./connection.ts";
import { ProtocolError } from "./errors.ts";

export interface SystemIdentity {
  /** Given by initdb and never changed: 64 bits as decimal text. */
  readonly systemIdentifier: string;
  /** The timeline the server is on. */
  readonly timeline: number;
  /** Where its WAL is flushed up to (a standby: what it has received). */
  readonly xlogpos: Lsn;
}

/** Where and as whom a command is run in a session of its own. */
export type Target = Omit<ConnectOptions, "replication" | "database">;

/** IDENTIFY_SYSTEM in a session of its own. Throws as `connect` does, or ServerError. */
export function identifySystem(target: Target): Promise<SystemIdentity> {
  return inSession(target, identify);
}

/**
 * The text of a timeline's history file. Throws ServerError 58P01 when the server has none:
 * timeline 1 never has one.
 */
export function fetchTimelineHistory(target: Target, timeline: number): Promise<string> {
  return inSession(target, async (connection) => {
    const [result] = await connection.query(`TIMELINE_HISTORY ${timeline}`);
    return field(result, 0, "content");
  });
}

/** IDENTIFY_SYSTEM in a session that is open. */
export async function identify(connection: Connection): Promise<SystemIdentity> {
  const [result] = await connection.query("IDENTIFY_SYSTEM");
  return {
    systemIdentifier: field(result, 0, "systemid"),
    timeline: Number(field(result, 0, "timeline")),
    xlogpos: parseLsn(field(result, 0, "xlogpos")),
  };
}

async function inSession<T>(target: Target, work: (connection: Connection) => Promise<T>) {
  const connection = await connect({ ...target, replication: "physical" });
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
}

/** A value that must be there and not null. */
export function field(result: ResultSet | undefined, row: number, name: string): string {
  const value = result?.rows[row]?.[result.fields.indexOf(name)];
  if (value === undefined || value === null) throw new ProtocolError(`the server sent no ${name}`);
  return value;
}
