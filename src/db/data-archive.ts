/** What a server tells of its archiver. */
import { z } from "zod";
import type { Archiving } from "../core/archiving.ts";
import { callMany, type Queryable } from "./call.ts";

const Row = z.object({
  failing: z.boolean(),
  wal: z.string().nullable(),
  waiting: z.int(),
  oldest_s: z.number().nullable(),
});

/** Undefined where nothing is archived: archive_mode is off. */
export async function archiving(db: Queryable): Promise<Archiving | undefined> {
  const [row] = await callMany(db, Row, {
    name: "data.archiving",
    text: `
      select coalesce(s.last_failed_time > coalesce(s.last_archived_time, '-infinity'), false) as failing,
             s.last_failed_wal as wal, w.waiting, w.oldest_s
        from pg_stat_archiver as s,
             lateral (select count(*)::int as waiting,
                             extract(epoch from clock_timestamp() - min(f.modification))::float8 as oldest_s
                        from pg_ls_archive_statusdir() as f where f.name like '%.ready') as w
       where current_setting('archive_mode') <> 'off'`,
  });
  return row;
}
