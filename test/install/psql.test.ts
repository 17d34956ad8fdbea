/** Plain psql and the program install the same, and each recognises what the other did. */
import { join } from "node:path";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { install } from "../../src/db/install.ts";
import { PACKAGE_ROOT } from "../../src/db/migration-file.ts";
import { findProgram, mustRun } from "../support/programs.ts";
import { openScratch, type Scratch, type ScratchServer } from "../support/scratch.ts";

let scratch: Scratch;
beforeAll(async () => {
  scratch = await openScratch("psql");
}, 60_000);
afterAll(() => scratch.close());

const psql = findProgram("psql");
const SCRIPT = join(PACKAGE_ROOT, "sql", "install.sh");

/** As docs/install.md says it. */
async function installByPsql(server: ScratchServer, target: string): Promise<void> {
  const sql = await mustRun("sh", [SCRIPT, target]);
  const reach = ["-h", server.host, "-p", `${server.port}`, "-U", "postgres", "-d", "postgres"];
  const args = ["-X", "-v", "ON_ERROR_STOP=1", "--single-transaction", ...reach];
  await mustRun(psql ?? "psql", args, { input: sql });
}

/** All that an installation makes, as text: pg_dump would leave out the schema pg_replica. */
async function catalogOf(db: pg.Client): Promise<string[]> {
  const { rows } = await db.query<{ line: string }>(CATALOG);
  return rows.map(({ line }) => line);
}

const OURS = "('raft', 'peer', 'cluster', 'node', 'pg_replica', 'pgreplica', 'replica_client')";
const CATALOG = `
  with ours as (select oid, nspname, nspacl from pg_namespace where nspname in ${OURS})
  select 'schema ' || nspname || ' ' || coalesce(nspacl::text, '-') as line from ours
  union all
  select concat_ws(' ', 'relation', c.oid::regclass, c.relkind, c.relpersistence, c.relacl, c.reloptions,
                   obj_description(c.oid, 'pg_class'))
    from pg_class c where c.relnamespace in (select oid from ours)
  union all
  select concat_ws(' ', 'column', a.attrelid::regclass, a.attnum, a.attname,
                   format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid))
    from pg_attribute a
    join pg_class c on c.oid = a.attrelid and c.relnamespace in (select oid from ours)
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
   where a.attnum > 0
  union all
  select concat_ws(' ', 'view', c.oid::regclass, pg_get_viewdef(c.oid))
    from pg_class c where c.relkind = 'v' and c.relnamespace in (select oid from ours)
  union all
  select concat_ws(' ', 'constraint', n.conrelid::regclass, n.conname, pg_get_constraintdef(n.oid))
    from pg_constraint n where n.connamespace in (select oid from ours)
  union all
  select concat_ws(' ', 'trigger', pg_get_triggerdef(t.oid)) from pg_trigger t where not t.tgisinternal
  union all
  select concat_ws(' ', 'function', pg_get_functiondef(p.oid), p.proacl, obj_description(p.oid, 'pg_proc'))
    from pg_proc p where p.pronamespace in (select oid from ours)
  union all
  select concat_ws(' ', 'role', r.rolname, r.rolcanlogin, r.rolsuper, r.rolreplication, r.rolconfig,
                   array(select m.roleid::regrole::text from pg_auth_members m where m.member = r.oid order by 1))
    from pg_roles r where r.rolname like 'pgreplica%'
  union all
  select concat_ws(' ', 'extension', extname, extnamespace::regnamespace) from pg_extension
  union all
  select concat_ws(' ', 'migration', target, name, hash) from pgreplica.migration
  union all
  select concat_ws(' ', 'file', target, path, hash) from pgreplica.sql_file
  union all
  select concat_ws(' ', 'fingerprint', target, fingerprint) from pgreplica.catalog
   order by 1`;

describe.skipIf(psql === undefined)("psql (skipped where it is not installed)", () => {
  test.each(["control", "data"] as const)("installs %s as the program does", async (target) => {
    const [byPsql, byProgram] = [await scratch.start(), await scratch.start()];
    await installByPsql(byPsql, target);
    const db = await byProgram.connect();
    await install(db, target);
    const other = await byPsql.connect();
    expect(await catalogOf(other)).toEqual(await catalogOf(db));
    expect(await install(other, target)).toEqual({ migrations: [], replaced: [] });
  });

  test("installs nothing at all when a statement fails", async () => {
    const server = await scratch.start();
    const db = await server.connect();
    await db.query("create role pgreplica_monitor");
    await expect(installByPsql(server, "control")).rejects.toThrow(/already exists/);
    const { rows } = await db.query("select to_regnamespace('pgreplica') as books");
    expect(rows).toEqual([{ books: null }]);
  });
});

test("the script prints nothing when it cannot print everything", async () => {
  await expect(mustRun("sh", [SCRIPT, "neither"])).rejects.toThrow(/usage: .*control\|data/);
});
