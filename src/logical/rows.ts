/** What a statement in a stream's own session answers. */
import type { Connection, ResultSet, WaitLimit } from "../replication/connection.ts";

export async function rows(
  connection: Connection,
  sql: string,
  limit: WaitLimit = {},
): Promise<ResultSet["rows"]> {
  const [result] = await connection.query(sql, limit);
  return result?.rows ?? [];
}
