/** NULL where a value is needed, in every argument of every function of the pgraft interface: refused by SQLSTATE. */
import { expect, test } from "vitest";
import { lead, live } from "./stores.ts";
import { leader, stores, useTwoStores, working } from "./two-stores.ts";

useTwoStores("pgraft-null");

/** A NULL that says something: none was given, or away with it. */
const MEANT = [
  "kv_cas(new_value)",
  "kv_list(after_key)",
  "log_get_entries(to_index)",
  "replicate_entry(request_id)",
  "set_apply_handler(handler)",
  "transfer_leadership(node_id)",
];
/** Refused whatever is given. */
const BYPASS = /^(kv_put_local|kv_delete_local|record_applied_index)\(/;
const SAMPLES: Readonly<Record<string, string>> = {
  text: "'local'",
  integer: "2",
  bigint: "1",
  boolean: "false",
  regprocedure: "null",
};

interface Argument {
  readonly fn: string;
  readonly name: string;
  readonly type: string;
}

/** Every argument of every function, in order. */
const ARGUMENTS = `
  select substr(p.proname, 8) as fn, p.proargnames[a.at] as name, format_type(a.type, null) as type
    from pg_proc as p, unnest(p.proargtypes) with ordinality as a (type, at)
   where p.proname like 'pgraft\\_%' and p.pronamespace = 'public'::regnamespace
   order by p.proname, a.at`;

test("every argument that is needed is asked for, by its SQLSTATE, and the server lives on", async () => {
  const { db } = leader;
  await live(leader);
  working.push(lead(leader, stores));
  const { rows } = await db.query<Argument>(ARGUMENTS);
  const started = await db.query("select pg_postmaster_start_time() as at");
  expect(rows.length).toBeGreaterThan(30);
  const taken: string[] = [];
  for (const { fn, name } of rows) {
    const given = rows
      .filter((other) => other.fn === fn)
      .map((other) => (other.name === name ? `null::${other.type}` : SAMPLES[other.type]));
    const code = await db.query(`select * from pgraft_${fn}(${given})`).then(
      () => "taken",
      (error: { code: string; message: string }) => error.code,
    );
    const call = `${fn}(${name})`;
    if (code === "taken" || MEANT.includes(call)) taken.push(call);
    else expect(`${call}: ${code}`).toBe(`${call}: ${BYPASS.test(call) ? "RF009" : "22004"}`);
  }
  expect(taken).toEqual(MEANT);
  expect((await db.query("select pg_postmaster_start_time() as at")).rows).toEqual(started.rows);
  const { rows: left } = await db.query("select * from pg_replica.kv_list()");
  expect(left).toEqual([]);
});
