/** Apply handlers: which functions may be one, and that each entry is taken once, in order, with what it does. */
import type pg from "pg";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { handlerState, runHandler } from "../../../src/db/apply-handler.ts";
import { errorOf } from "../../support/sql.ts";
import { KINDS, useBothServers } from "./both-servers.ts";
import { another } from "./stores.ts";

const servers = useBothServers("pgraft-handler");

describe.each(KINDS)("on the %s", (kind) => {
  let db: pg.Client;
  beforeAll(async () => {
    db = await servers(kind).connect();
    await db.query(
      `create role operator login in role pgreplica_admin; create role mallory login;
       create role watcher login in role pgreplica_monitor;
       create table taken (place serial, index bigint, term bigint, data text unique deferrable initially deferred);
       create function take(index bigint, term bigint, data text) returns void language plpgsql as $$
         begin
           if data = 'poison' then raise exception 'spat out'; end if;
           insert into taken (index, term, data) values (index, term, data);
         end $$`,
    );
  });
  beforeEach(async () => {
    await db.query("truncate taken; delete from pgreplica.apply_handler");
    await db.query("select pgraft_set_apply_handler('take(bigint,bigint,text)')");
  });

  const entry = (index: number, data: string, item = 1) => ({ index, item, term: 7, data });
  const run = async (...entries: readonly object[]) =>
    (await db.query("select pgreplica.run_handler($1) as n", [JSON.stringify(entries)])).rows[0].n;
  const taken = async () =>
    (await db.query("select index, term, data from taken order by place")).rows.map(
      ({ index, term, data }) => `${index} ${term} ${data}`,
    );
  const state = async () => (await db.query("select * from pgraft_apply_handler")).rows[0];

  test("each entry is taken once and in order, however often it is handed over", async () => {
    expect(await run(entry(6, "c"), entry(4, "a"), entry(4, "b", 2))).toBe(3);
    expect(await run(entry(4, "b", 2), entry(6, "c"), entry(9, "d"))).toBe(1);
    expect(await taken()).toEqual(["4 7 a", "4 7 b", "6 7 c", "9 7 d"]);
    expect(await state()).toMatchObject({
      handler: "public.take",
      applied_index: "9",
      applied_item: 1,
      failures: 0,
      error: null,
    });
  });

  test("what it did and its place are undone together", async () => {
    await db.query("begin");
    expect(await run(entry(4, "a"))).toBe(1);
    await db.query("rollback");
    expect(await taken()).toEqual([]);
    expect(await run(entry(4, "a"))).toBe(1);
    expect(await taken()).toEqual(["4 7 a"]);
  });

  test.each([
    ["an error", "poison", "entry 5: P0001: spat out"],
    ["a deferred constraint", "a", "entry 5: 23505: duplicate key"],
  ])("%s holds it before that entry, and is shown, until it is no more", async (_, data, error) => {
    expect(await run(entry(4, "a"), entry(5, data), entry(6, "c"))).toBe(1);
    expect(await run(entry(5, data), entry(6, "c"))).toBe(0);
    expect(await taken()).toEqual(["4 7 a"]);
    const held = await state();
    expect(held).toMatchObject({ applied_index: "4", failures: 2 });
    expect(held.error).toContain(error);
    const { rows } = await db.query("select index, wait_ms from pgreplica.handler_state()");
    expect(rows).toMatchObject([{ index: "4" }]);
    expect(rows[0].wait_ms).toBeLessThanOrEqual(400);
    expect(await run(entry(5, "good"), entry(6, "c"))).toBe(2);
    expect(await state()).toMatchObject({ applied_index: "6", failures: 0, error: null });
  });

  test("a call that takes too long is an error like others", async () => {
    await db.query(
      `create or replace function linger(index bigint, term bigint, data text) returns void language plpgsql as $$
         begin perform pg_sleep(30); end $$`,
    );
    await db.query("select pgraft_set_apply_handler('linger(bigint,bigint,text)')");
    await db.query("set statement_timeout = 200");
    expect(await run(entry(4, "a"))).toBe(0);
    await db.query("reset statement_timeout");
    expect((await state()).error).toContain("entry 4: 57014:");
  });

  test("without a handler the place is kept, and the next goes on from it", async () => {
    await run(entry(4, "a"));
    await db.query("select pgraft_set_apply_handler(null)");
    expect(await run(entry(5, "b"))).toBe(0);
    expect((await db.query("select * from pgreplica.handler_state()")).rows).toEqual([]);
    await db.query("select pgraft_set_apply_handler('public.take(bigint,bigint,text)')");
    expect(await run(entry(4, "a"), entry(5, "b"))).toBe(1);
    expect(await taken()).toEqual(["4 7 a", "5 7 b"]);
  });

  /** Ways in which what a function with its owner's rights leaves behind runs with those of the session. */
  const LATER = {
    "a deferred trigger": `
      create table theirs.trap (x text);
      create function theirs.fire() returns trigger language plpgsql as $$
        begin perform theirs.gain(); return null; end $$;
      create constraint trigger late after insert on theirs.trap deferrable initially deferred
        for each row execute function theirs.fire();
      create function theirs.handler(bigint, bigint, text) returns void security definer
        language sql as $$ insert into theirs.trap values ($3) $$`,
    "a cursor that is held": `
      create function theirs.handler(bigint, bigint, text) returns void security definer language plpgsql as $$
        begin execute 'declare held cursor with hold for select theirs.gain()'; end $$`,
    "an operator found first": `
      create function theirs.plus(integer, integer) returns integer language plpgsql as $$
        begin perform theirs.gain(); return $1 operator(pg_catalog.+) $2; end $$;
      create operator theirs.+ (leftarg = integer, rightarg = integer, function = theirs.plus);
      create function theirs.handler(bigint, bigint, text) returns void security definer
        language sql as $$ select set_config('search_path', 'theirs, pg_catalog', false) $$`,
    "a statement by the name of one of the worker's": `
      create function theirs.handler(bigint, bigint, text) returns void security definer language plpgsql as $$
        begin
          execute 'deallocate "pgreplica.handler_state"';
          execute 'prepare "pgreplica.handler_state" as select 1::bigint, 1, 0 from (select theirs.gain()) as g';
        end $$`,
  };

  test.each(Object.entries(LATER))(
    "%s of an ordinary role's function is never run",
    async (_, make) => {
      await db.query(
        "create role climber login in role pgreplica_admin; create schema theirs authorization climber",
      );
      const theirs = await another({ server: servers(kind) }, "climber");
      const worker = await servers(kind).connect();
      try {
        await theirs.query(
          `create function theirs.gain() returns void language plpgsql as $$
           begin
             if (select rolsuper from pg_catalog.pg_roles where rolname = current_user) then
               alter role climber superuser;
             end if;
           end $$;
         ${make}`,
        );
        await handlerState(worker);
        const error = await errorOf(
          theirs.query("select pgraft_set_apply_handler('theirs.handler(bigint,bigint,text)')"),
        );
        expect(error.code).toBe("22023");
        // As an earlier version let them.
        await db.query(
          "update pgreplica.apply_handler set handler = 'theirs.handler', owner = 'climber'",
        );
        expect(await runHandler(worker, JSON.stringify([entry(4, "a")]))).toBe(0);
        await handlerState(worker);
        expect((await state()).error).toContain("its owner must be a superuser");
        const { rows } = await db.query("select rolsuper from pg_roles where rolname = 'climber'");
        expect(rows).toEqual([{ rolsuper: false }]);
      } finally {
        await theirs.end();
        await worker.end();
        await db.query("drop schema theirs cascade; drop role climber");
      }
    },
  );

  test("it is a superuser's, and named by one; anybody else's is refused, also when it was a superuser's before", async () => {
    await db.query(
      `grant create on schema public to operator, mallory;
       create or replace procedure proc(index bigint, term bigint, data text) language sql as 'select 1'`,
    );
    const set = async (user: string, handler: string) => {
      const session = await another({ server: servers(kind) }, user);
      const code = await session
        .query("select pgraft_set_apply_handler($1)", [`${handler}(bigint,bigint,text)`])
        .then(
          () => "done",
          (error: pg.DatabaseError) => error.code,
        );
      await session.end();
      return code;
    };
    await db.query(
      `create role root2 superuser login;
       create function theirs(index bigint, term bigint, data text) returns text language sql
         as 'select current_user'`,
    );
    expect(await set("root2", "theirs")).toBe("done");
    expect(await run(entry(4, "a"))).toBe(1);
    await db.query("alter function theirs owner to root2");
    expect(await run(entry(5, "b"))).toBe(0);
    expect((await state()).error).toContain("it belongs to root2 now");
    expect(await set("root2", "theirs")).toBe("done");
    expect(await run(entry(5, "b"))).toBe(1);
    await db.query("alter role root2 nosuperuser");
    expect(await run(entry(6, "c"))).toBe(0);
    expect((await state()).error).toContain("its owner must be a superuser");
    expect(await set("operator", "take")).toBe("42501");
    for (const user of ["mallory", "watcher"]) expect(await set(user, "theirs")).toBe("42501");
    for (const wrong of ["proc(bigint,bigint,text)", "upper(text)"]) {
      const error = await errorOf(db.query("select pgraft_set_apply_handler($1)", [wrong]));
      expect(error).toMatchObject({ code: "22023" });
    }
    await db.query("drop function theirs; drop role root2");
    expect(await run(entry(6, "c"))).toBe(0);
    expect((await state()).error).toContain("it is not there");
  });
});
