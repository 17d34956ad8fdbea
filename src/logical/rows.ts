/** What a statement in a stream's own session answers. */
import type { Connection, ResultSet } from "../replication/connection.ts";

export async function rows(connection: Connection, sql: string): Promise<ResultSet["rows"]> {
  const [result] = await connection.query(sql);
  return result?.rows ?? [];
}
