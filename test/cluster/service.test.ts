/** The log as a service on a whole cluster: what was acknowledged is there once, in one order, whoever dies. */
import { afterEach, expect, test } from "vitest";
import type { Injection } from "../support/cluster.ts";
import { useCluster } from "../support/fixture.ts";
import { untilHealthy } from "../support/health.ts";
import { errorOf, rows, sqlstate, value } from "../support/sql.ts";
import { until } from "../support/until.ts";

const cluster = useCluster();
const frozen: Injection[] = [];
afterEach(() => {
  for (const one of frozen.splice(0)) cluster().thaw(one);
});

interface Item extends Record<string, unknown> {
  readonly index: string;
  readonly item: number;
  readonly data: string;
}

const everyServer = () => [...cluster().dataUris(), ...cluster().controlUris()];
const all = "select index, item, data from pg_replica.entries(max_rows => 1000000)";
const itemsOf = (uri: string) => rows<Item>(uri, all);

test("what is put in anywhere is read everywhere, at once and in one order", async () => {
  await untilHealthy(cluster());
  for (const [position, uri] of everyServer().entries()) {
    const put = `put ${position}`;
    const index = await value(uri, "select pg_replica.replicate($1)", [put]);
    // Applied on the node that was asked when the call is over.
    expect(await itemsOf(uri)).toContainEqual({ index, item: 1, data: put });
    await value(uri, "select pg_replica.kv_put('who', $1)", [put]);
    for (const other of everyServer()) {
      expect(await value(other, "select pg_replica.kv_get('who')")).toBe(put);
    }
  }
  const first = await itemsOf(everyServer()[0] as string);
  expect(first.map(({ data }) => data)).toEqual(everyServer().map((_, at) => `put ${at}`));
  for (const uri of everyServer()) {
    await until("every node has applied it", { limitMs: 5000 }, async () => {
      return (await itemsOf(uri)).length === first.length;
    });
    expect(await itemsOf(uri)).toEqual(first);
  }
});

/** Put numbered texts in through one node, under request ids, asking again after any error. */
async function putAll(uri: string, name: string, count: number): Promise<Map<string, string>> {
  const acknowledged = new Map<string, string>();
  for (let n = 0; n < count; n++) {
    const text = `${name} ${n}`;
    const put = () => value(uri, "select pg_replica.replicate($1, $1)", [text], { answerMs: 8000 });
    await until(`${text} is acknowledged`, { limitMs: 60_000 }, async () => {
      const index = await put().catch(() => undefined);
      if (index !== undefined) acknowledged.set(text, index);
      return index !== undefined;
    });
  }
  return acknowledged;
}

test("under a request_id each entry is there once, over a leader's death", async () => {
  const { leader } = await untilHealthy(cluster());
  const others = cluster().nodes.filter(({ id }) => id !== leader);
  const writing = Promise.all(
    others.map(({ control, id }) => putAll(control.uri, `writer ${id}`, 60)),
  );
  await until("some are in", { limitMs: 20_000 }, async () => {
    return (await itemsOf(others[0]?.control.uri ?? "")).length > 20;
  });
  cluster().killNode(leader);
  const acknowledged = new Map((await writing).flatMap((one) => [...one]));
  await untilHealthy(cluster());
  const [here, ...elsewhere] = await Promise.all(cluster().controlUris().map(itemsOf));
  const put = (here ?? []).filter(({ data }) => data.startsWith("writer"));
  expect(new Map(put.map(({ data, index }) => [data, index]))).toEqual(acknowledged);
  expect(put).toHaveLength(120);
  for (const one of elsewhere) expect(one).toEqual(here);
});

test("compare and set adds up, though everybody tries at once", async () => {
  await untilHealthy(cluster());
  await value(everyServer()[0] as string, "select pg_replica.kv_put('count', '0')");
  const add = async (uri: string) => {
    let done = 0;
    while (done < 5) {
      const [now] = await rows(uri, "select * from pg_replica.kv_get_entry('count')");
      const swap = "select swapped from pg_replica.kv_cas('count', $1, $2)";
      const next = Number(now?.value) + 1;
      const swapped = (await rows(uri, swap, [now?.version, next]))[0]?.swapped;
      if (swapped === true) done += 1;
    }
  };
  await Promise.all(everyServer().map(add));
  expect(await value(everyServer()[0] as string, "select pg_replica.kv_get('count')")).toBe("30");
});

test("without a majority nothing is acknowledged; afterwards the log tells what became of it", async () => {
  const { leader } = await untilHealthy(cluster());
  for (const { id } of cluster().nodes) {
    if (id !== leader) frozen.push(await cluster().freezeNode(id));
  }
  const uri = cluster().node(leader).control.uri;
  const put = "select pg_replica.replicate('alone', 'alone')";
  expect(["RF002", "RF003"]).toContain(sqlstate(await errorOf(value(uri, put))));
  const read = errorOf(value(uri, "select pg_replica.kv_get('count')"));
  expect(sqlstate(await read)).toBe("RF002");
  expect(await value(uri, "select pg_replica.kv_get('count', 'local')")).toBe("30");
  for (const one of frozen.splice(0)) cluster().thaw(one);
  await untilHealthy(cluster());
  const index = await value(uri, put);
  const found = (await itemsOf(uri)).filter(({ data }) => data === "alone");
  expect(found).toEqual([{ index, item: 1, data: "alone" }]);
});
