import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Lsn, ReplicationClient, type ReplicationEvent } from "../../src/logical/index.ts";
import { connect } from "../../src/replication/connection.ts";
import { clock, flavours } from "../replication/lab.ts";
import { until } from "../support/until.ts";
import { type Bench, collect, commits, ids, isCommit, openBench } from "./bench.ts";

describe.each(await flavours())("$name", ({ binDir }) => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await openBench(binDir);
  });
  afterAll(() => bench.lab.close());
  const insert = (from: number, to = from) =>
    bench.server.sql(`insert into t select i, 'v' || i from generate_series(${from}, ${to}) i`);

  test("inserted, updated, deleted: rows come out as they went in, and the slot moves", async () => {
    const config = await bench.slot();
    const client = await ReplicationClient.connect(config);
    await insert(1);
    await bench.server.sql("update t set v = 'b' where id = 1");
    await bench.server.sql("update t set id = 2 where id = 1");
    await bench.server.sql("delete from t where id = 2");
    await bench.server.sql("truncate t");
    const events = await collect(client, commits(5));
    const changes = events.filter(({ kind }) => !/keepalive|begin|commit|relation/.test(kind));
    expect(changes).toMatchObject([
      { kind: "insert", new: { id: "1", v: "v1" }, relation: { schema: "public", table: "t" } },
      { kind: "update", new: { id: "1", v: "b" }, old: null, oldKind: null },
      { kind: "update", new: { id: "2", v: "b" }, old: { id: "1" }, oldKind: "key" },
      { kind: "delete", old: { id: "2" }, oldKind: "key" },
      { kind: "truncate", relations: [{ table: "t" }], cascade: false, restartIdentity: false },
    ]);
    expect(client.metrics()).toMatchObject({ rowsDecoded: 4, reconnects: 0 });
    expect(await bench.confirmed(config)).toBe(client.lastAppliedLsn);
    expect(await bench.isActive(config)).toBe(false);
  });

  test("the stream goes on where the last one acknowledged, while nobody looked", async () => {
    const config = await bench.slot();
    const first = await ReplicationClient.connect(config);
    await insert(10);
    const [seen] = (await collect(first, commits(1))).filter(isCommit);
    await insert(11);
    await insert(12);
    const startLsn = seen?.endLsn ?? Lsn.ZERO;
    const second = await ReplicationClient.connect({ ...config, startLsn });
    expect(ids(await collect(second, commits(2)))).toEqual([11, 12]);
  });

  test("connecting moves nothing; what was not acknowledged comes again", async () => {
    const config = await bench.slot();
    const before = await bench.confirmed(config);
    const first = await ReplicationClient.connect(config);
    await insert(20);
    for await (const event of first) if (event.kind === "commit") break;
    expect(await bench.confirmed(config)).toBe(before);
    const second = await ReplicationClient.connect(config);
    expect(ids(await collect(second, commits(1)))).toEqual([20]);
    expect(await bench.confirmed(config)).toBe(second.lastAppliedLsn);
  });

  test("a start before what the slot has confirmed is refused, or said aloud", async () => {
    const config = await bench.slot();
    const first = await ReplicationClient.connect(config);
    await insert(30);
    await collect(first, commits(1));
    const early = { ...config, startLsn: Lsn.from(first.lastAppliedLsn - 8n) };
    await expect(ReplicationClient.connect(early)).rejects.toMatchObject({ kind: "slot" });
    const warnings: string[] = [];
    const onWarning = (message: string) => warnings.push(message);
    const client = await ReplicationClient.connect({ ...early, onForwarded: "warn", onWarning });
    await client.shutdown();
    expect(warnings).toEqual([expect.stringContaining("after the start that was asked for")]);
  });

  test("idle: keepalives are answered, a stop ends it at once and frees the slot", async () => {
    const config = await bench.slot();
    const client = await ReplicationClient.connect({ ...config, statusIntervalMs: 50 });
    const pending = drain(client);
    await clock.sleep(300);
    const stopped = performance.now();
    client.stop();
    await pending;
    expect(performance.now() - stopped).toBeLessThan(1000);
    expect(await bench.isActive(config)).toBe(false);
    expect(client.isRunning).toBe(false);
    expect(client.metrics().feedbackSent).toBeGreaterThanOrEqual(4);
    expect(await client.recv()).toBeNull();
    expect(await client.recv()).toBeNull();
  });

  test("an aborted recv loses nothing, a second one at a time is refused", async () => {
    const config = await bench.slot();
    await using client = await ReplicationClient.connect(config);
    await skipKeepalives(client);
    const stop = new AbortController();
    const pending = client.recv({ signal: stop.signal });
    await expect(client.recv()).rejects.toMatchObject({ kind: "state" });
    stop.abort();
    await expect(pending).rejects.toMatchObject({ kind: "aborted" });
    await insert(40);
    expect(ids(await collect(client, commits(1)))).toEqual([40]);
  });

  test("abort rejects what waits", async () => {
    const client = await ReplicationClient.connect(await bench.slot());
    await skipKeepalives(client);
    const pending = client.recv();
    client.abort(new Error("enough"));
    await expect(pending).rejects.toMatchObject({ kind: "aborted", message: /enough/ });
    await expect(client.recv()).rejects.toMatchObject({ kind: "aborted" });
    await expect(client.shutdown()).rejects.toMatchObject({ kind: "aborted" });
  });

  test("positions that were never received cannot be acknowledged", async () => {
    await using client = await ReplicationClient.connect(await bench.slot());
    expect(() => client.updateAppliedLsn(Lsn.parse("FFFF/0"))).toThrow(RangeError);
    client.updateAppliedLsn(Lsn.ZERO);
    expect(client.lastAppliedLsn).toBe(0n);
  });

  test("an idle publication in a busy database: with advanceWhenIdle the slot follows", async () => {
    const config = { ...(await bench.slot()), statusIntervalMs: 50, advanceWhenIdle: true };
    await bench.server.sql("create unlogged table noise (i int)");
    const client = await ReplicationClient.connect(config);
    const pending = drain(client);
    const before = await bench.walEnd();
    await bench.server.sql("select pg_logical_emit_message(false, 'x', 'y')");
    await until(
      "the slot follows",
      { limitMs: 10_000 },
      async () => (await bench.confirmed(config)) > before,
    );
    client.stop();
    await pending;
  });

  test("50 writers: transactions whole, in commit order, none interleaved", async () => {
    const config = await bench.slot();
    const client = await ReplicationClient.connect(config);
    const { host, port, user } = bench.server;
    const work = Array.from({ length: 50 }, async (_, writer) => {
      const session = await connect({ host, port, user, clock });
      for (let round = 0; round < 4; round += 1) {
        const id = 1000 + writer * 40 + round * 10;
        await session.query(`begin; insert into t values (${id}); insert into t values (${id + 1});
          insert into t values (${id + 2}); commit`);
      }
      await session.close();
    });
    const [events] = await Promise.all([collect(client, commits(200)), ...work]);
    expect(ids(events)).toHaveLength(600);
    checkOrder(events);
  });

  describe("bounded replay", () => {
    /** Three transactions; each one's commit. */
    async function history(config: Awaited<ReturnType<Bench["slot"]>>, base: number) {
      const client = await ReplicationClient.connect(config);
      for (const index of [0, 1, 2]) await insert(base + index * 10, base + index * 10 + 4);
      const events: ReplicationEvent[] = [];
      let left = 3;
      for await (const event of client) {
        events.push(event);
        if (event.kind === "commit" && --left === 0) break;
      }
      return events.filter(isCommit).map(({ endLsn }) => endLsn);
    }
    async function replay(config: Awaited<ReturnType<Bench["slot"]>>, stopAtLsn: Lsn) {
      const events: ReplicationEvent[] = [];
      for await (const event of await ReplicationClient.connect({ ...config, stopAtLsn })) {
        events.push(event);
      }
      return events;
    }

    test("at, between, inside and before: whole transactions up to the first end at or past it", async () => {
      const config = await bench.slot();
      const [first = Lsn.ZERO, second = Lsn.ZERO] = await history(config, 5000);
      const at = await replay(config, first);
      expect(ids(at)).toEqual([5000, 5001, 5002, 5003, 5004]);
      expect(at.at(-1)).toEqual({ kind: "stoppedAt", reached: first });
      const inside = await replay(config, Lsn.from(second - 16n));
      expect(ids(inside)).toHaveLength(10);
      expect(inside.at(-1)).toEqual({ kind: "stoppedAt", reached: second });
      const before = await replay(config, Lsn.from(1n));
      expect(before).toEqual([{ kind: "stoppedAt", reached: await bench.confirmed(config) }]);
    });

    test("beyond the last transaction a keepalive ends it; raw data stops at the same place", async () => {
      const config = await bench.slot();
      const ends = await history(config, 6000);
      await bench.server.sql("select pg_logical_emit_message(false, 'x', 'y')");
      const goal = await bench.walEnd();
      const beyond = await replay(config, goal);
      expect(ids(beyond)).toHaveLength(15);
      const last = beyond.at(-1);
      expect(last?.kind === "stoppedAt" && last.reached >= goal).toBe(true);
      const raw = await replay({ ...config, decode: "raw" }, ends[1] ?? Lsn.ZERO);
      expect(raw.at(-1)).toEqual({ kind: "stoppedAt", reached: ends[1] });
      expect(new Set(raw.map(({ kind }) => kind))).toEqual(
        new Set(
          raw.some(({ kind }) => kind === "keepalive")
            ? ["xlogData", "keepalive", "stoppedAt"]
            : ["xlogData", "stoppedAt"],
        ),
      );
    });
  });

  test("a hundred times connected and stopped: nothing is left open", async () => {
    const config = await bench.slot();
    const handles = () => process.getActiveResourcesInfo().length;
    const before = handles();
    for (let round = 0; round < 100; round += 1) {
      const client = await ReplicationClient.connect(config);
      await client.shutdown();
    }
    await clock.sleep(50);
    expect(handles()).toBeLessThanOrEqual(before + 2);
    expect(await bench.isActive(config)).toBe(false);
  });
});

async function drain(client: ReplicationClient): Promise<void> {
  for await (const event of client) expect(event.kind).toBe("keepalive");
}

async function skipKeepalives(client: ReplicationClient): Promise<void> {
  const soon = AbortSignal.timeout(200);
  for (;;) {
    const event = await client.recv({ signal: soon }).catch(() => undefined);
    if (event === undefined) return;
    expect(event?.kind).toBe("keepalive");
  }
}

/** Between a begin and its commit only this transaction's changes; ends only rise. */
function checkOrder(events: readonly ReplicationEvent[]): void {
  let open: number | undefined;
  let last = 0n;
  for (const event of events) {
    if (event.kind === "begin") {
      expect(open).toBeUndefined();
      open = event.xid;
    } else if (event.kind === "insert") expect(event.xid).toBe(open);
    else if (event.kind === "commit") {
      expect(event.xid).toBe(open);
      expect(event.endLsn).toBeGreaterThan(last);
      last = event.endLsn;
      open = undefined;
    }
  }
}
