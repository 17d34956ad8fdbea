/** With which versions of their collations a server's databases were made, and which it has itself. */
import { z } from "zod";
import { callMany, type Queryable } from "./call.ts";

const Row = z.object({ what: z.string(), made: z.string(), here: z.string() });

/** Of what: `database app`, or a collation of the database that is asked. */
export type Differing = z.infer<typeof Row>;

/** Those that this server orders otherwise than they were made: none where its C library and ICU are the same. */
export function differingCollations(db: Queryable): Promise<Differing[]> {
  return callMany(db, Row, {
    name: "data.collations",
    text: `
      select c.what, c.made, c.here
        from (select format('database %s', d.datname) as what, d.datcollversion as made,
                     pg_database_collation_actual_version(d.oid) as here
                from pg_database as d where d.datallowconn
              union all
              select format('collation %s', o.oid::regcollation), o.collversion, pg_collation_actual_version(o.oid)
                from pg_collation as o) as c
       where c.made <> c.here order by c.what`,
  });
}
