/** Apply handlers on a whole cluster: every entry once and in order, in data and control store, whoever dies. */
import { expect, test } from "vitest";
import { useCluster } from "../support/fixture.ts";
import { untilHealthy } from "../support/health.ts";
import { rows, value } from "../support/sql.ts";
import { until } from "../support/until.ts";

const cluster = useCluster();

const MAKE = `
  create table taken (place bigserial primary key, index bigint, data text);
  create function take(index bigint, term bigint, data text) returns void language plpgsql as $$
    begin
      if data = 'poison' and not exists (select from taken as t where t.data = 'antidote') then
        raise exception 'spat out';
      end if;
      insert into taken (index, data) values (index, data);
    end $$;
  select pgraft_set_apply_handler('take(bigint,bigint,text)')`;
const TAKEN = "select index, data from taken order by place";
const ENTRIES = "select index, data from pg_replica.entries(max_rows => 1000000)";

async function untilTaken(uri: string, wanted: () => Promise<readonly unknown[]>): Promise<void> {
  await until("the handler has taken everything", { limitMs: 30_000 }, async () => {
    const taken = await rows(uri, TAKEN).catch(() => []);
    return taken.length === (await wanted()).length;
  });
  expect(await rows(uri, TAKEN)).toEqual(await wanted());
}

test("entries are taken once and in order while the primary dies and another goes on", async () => {
  const { primary } = await untilHealthy(cluster());
  const store = cluster().nodes.find(({ id }) => id !== primary)?.control.uri ?? "";
  await rows(cluster().node(primary).data.uri, MAKE);
  await rows(store, MAKE);
  const put = async (n: number) => {
    const text = `entry ${n}`;
    await until(`${text} is in`, { limitMs: 30_000 }, async () => {
      return await value(store, "select pg_replica.replicate($1, $1)", [text]).then(
        () => true,
        () => false,
      );
    });
  };
  for (let n = 0; n < 60; n++) {
    if (n === 30) cluster().killDataServer(primary);
    await put(n);
  }
  const { primary: next } = await untilHealthy(cluster());
  expect(next).not.toBe(primary);
  const entries = () => rows(store, ENTRIES);
  await untilTaken(cluster().node(next).data.uri, entries);
  await untilTaken(store, entries);
  const [view] = await rows(
    cluster().node(next).data.uri,
    "select handler, failures, error from pgraft_apply_handler",
  );
  expect(view).toEqual({ handler: "public.take", failures: 0, error: null });
});

test("a handler that fails holds its own cursor and nothing else", async () => {
  const { primary, leader } = await untilHealthy(cluster());
  const uri = cluster().node(primary).data.uri;
  const term = await value(cluster().node(leader).control.uri, "select pgraft_get_term()");
  for (const text of ["poison", "after"])
    await value(uri, "select pg_replica.replicate($1)", [text]);
  await until("the error is shown", { limitMs: 10_000 }, async () => {
    const [view] = await rows(uri, "select failures, error from pgraft_apply_handler");
    return Number(view?.failures) >= 2 && /P0001: spat out/.test(String(view?.error));
  });
  expect(await value(uri, "select pgraft_log_sync_with_leader()")).toBe("true");
  expect(await value(uri, "select pgraft_get_term()")).toBe(term);
  await rows(uri, "insert into taken (index, data) values (0, 'antidote')");
  await until("it goes on by itself", { limitMs: 30_000 }, async () => {
    const last = await rows(uri, "select data from taken order by place desc limit 2");
    return JSON.stringify(last) === JSON.stringify([{ data: "after" }, { data: "poison" }]);
  });
});
