/** A vote, a pledge or a log entry is a promise only on a store that keeps what it has committed (H51). */
import type { ClientBase } from "pg";
import { z } from "zod";
import { callMany, run } from "./call.ts";

/** The store would forget promises; nothing may run on it. Each problem names the setting or the table. */
export class UnsafeStore extends Error {
  override readonly name = "UnsafeStore";
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(`the control store would forget what it has promised: ${problems.join("; ")}`);
    this.problems = problems;
  }
}

/** Values under which a commit may vanish, or an invariant is not checked. */
export const UNSAFE: readonly { readonly setting: string; readonly value: string }[] = [
  { setting: "fsync", value: "off" },
  { setting: "full_page_writes", value: "off" },
  { setting: "synchronous_commit", value: "off" },
  { setting: "plpgsql.check_asserts", value: "off" },
];

/** Tables that must survive a crash, beside every table of schema `cluster`. */
const DURABLE = [
  "raft.hard_state",
  "raft.log",
  "cluster.state",
  "cluster.member",
  "cluster.epoch",
  "cluster.proposal",
  "node.identity",
  "node.pledge",
  "node.followed",
  "node.data_life",
];

const Problem = z.object({ problem: z.string() });

/** Throws UnsafeStore when a setting in force, of the server or of a role or database, is unsafe. */
export async function verifySettings(db: ClientBase): Promise<void> {
  // Settings of plpgsql are placeholders, with any value at all, until it is loaded.
  await run(db, { text: "load 'plpgsql'" });
  const problems = await callMany(db, Problem, {
    text: `
      with unsafe as (select * from unnest($1::text[], $2::text[]) as u (setting, value))
      select pg_catalog.format('%s is %s, expected on', s.name, s.setting) as problem
        from pg_catalog.pg_settings s
        join unsafe u on u.setting = s.name and u.value = s.setting
      union all
      select pg_catalog.format('%s of %s%s, expected on', one.setting,
               coalesce('role ' || r.rolname, 'every role'), ' in ' || coalesce(d.datname, 'every database'))
        from pg_catalog.pg_db_role_setting c
        left join pg_catalog.pg_roles r on r.oid = c.setrole
        left join pg_catalog.pg_database d on d.oid = c.setdatabase
       cross join lateral unnest(c.setconfig) as one (setting)
        join unsafe u on pg_catalog.split_part(one.setting, '=', 1) = u.setting
                     and pg_catalog.lower(pg_catalog.split_part(one.setting, '=', 2))
                         in (u.value, 'false', 'no', '0', 'f', 'n')`,
    values: [UNSAFE.map(({ setting }) => setting), UNSAFE.map(({ value }) => value)],
  });
  refuseIfAny(problems);
}

/** Throws UnsafeStore when a table that must survive a crash is missing or unlogged. */
export async function verifyPersistence(db: ClientBase): Promise<void> {
  const problems = await callMany(db, Problem, {
    text: `
      select pg_catalog.format('table %s is missing', wanted.name) as problem
        from unnest($1::text[]) as wanted (name)
       where pg_catalog.to_regclass(wanted.name) is null
      union all
      select pg_catalog.format('table %I.%I is unlogged', n.nspname, c.relname)
        from pg_catalog.pg_class c
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace
       where c.relkind = 'r' and c.relpersistence <> 'p'
         and (n.nspname = 'cluster' or n.nspname || '.' || c.relname = any ($1::text[]))`,
    values: [DURABLE],
  });
  refuseIfAny(problems);
}

function refuseIfAny(problems: readonly { readonly problem: string }[]): void {
  if (problems.length > 0) throw new UnsafeStore(problems.map(({ problem }) => problem));
}
