/** How far the standbys of a primary are behind. */
import { z } from "zod";
import { callMany, type Queryable } from "./call.ts";

const Behind = z.object({ name: z.string(), bytes: z.coerce.number() });

/** Bytes not replayed, by the name each streams under, the longest of a name; nothing on a standby. */
export async function standbyLags(db: Queryable): Promise<Record<string, number>> {
  const rows = await callMany(db, Behind, {
    name: "data.lags",
    text: `
      select r.application_name as name,
             max(pg_wal_lsn_diff(pg_current_wal_lsn(), r.replay_lsn))::text as bytes
        from pg_stat_replication as r
       where r.replay_lsn is not null and not pg_is_in_recovery()
       group by r.application_name`,
  });
  return Object.fromEntries(rows.map(({ name, bytes }) => [name, bytes]));
}
