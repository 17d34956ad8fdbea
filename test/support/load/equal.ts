/** At rest all data servers hold the same (D10): every table, row by row, stamps included. */
import type { ClusterView } from "../cluster.ts";
import { type Row, rows, value } from "../sql.ts";
import { NotYet, until } from "../until.ts";

interface Digest extends Row {
  readonly table: string;
  readonly rows: string;
  readonly hash: string;
}

const TABLES = `
  select quote_ident(n.nspname) || '.' || quote_ident(c.relname) as name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.relkind = 'r' and c.relpersistence = 'p' and n.nspname <> 'information_schema'
     and (n.nspname !~ '^pg_' or c.relname in ('pg_class', 'pg_attribute', 'pg_proc', 'pg_authid'))
   order by 1`;
const LIMITS = { answerMs: 60_000 };

/** What one server holds. */
async function digest(uri: string): Promise<Digest[]> {
  const tables = await rows<{ name: string }>(uri, TABLES, [], LIMITS);
  return await Promise.all(
    tables.map(async ({ name }) => {
      const [row] = await rows<Digest>(
        uri,
        `select $1::text as table, count(*)::text as rows,
                md5(coalesce(string_agg(h::text, ',' order by h), '')) as hash
           from (select hashtextextended(t::text, 0) as h from ${name} t) as hashed`,
        [name],
        LIMITS,
      );
      if (row === undefined) throw new Error(`no digest of ${name}`);
      return row;
    }),
  );
}

/** Tables that differ from the primary's, in words; nobody may write meanwhile. */
export async function differences(cluster: ClusterView, primary: number): Promise<string[]> {
  const { uri } = cluster.node(primary).data;
  const lsn = await value(uri, "select pg_current_wal_flush_lsn()");
  const wanted = await digest(uri);
  const found: string[] = [];
  for (const { id, data } of cluster.nodes) {
    if (id === primary) continue;
    await until(`node ${id} has replayed ${lsn}`, { limitMs: 30_000 }, async () => {
      const at = await value(data.uri, "select pg_last_wal_replay_lsn() >= $1::pg_lsn", [lsn]);
      if (at !== "true") throw new NotYet(`it is behind`);
      return true;
    });
    const there = await digest(data.uri);
    for (const one of wanted) {
      const other = there.find(({ table }) => table === one.table);
      if (other?.hash === one.hash && other.rows === one.rows) continue;
      found.push(
        `node ${id}, ${one.table}: ${other?.rows ?? "no"} rows, the primary has ${one.rows}`,
      );
    }
    if (there.length !== wanted.length) found.push(`node ${id} has ${there.length} tables`);
  }
  return found;
}
