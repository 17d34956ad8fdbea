/** What no standby has confirmed is not handed out, and a history that lacks what was applied is refused. */
import { cp } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Commit, ReplicationClient, type ReplicationError } from "../../src/logical/index.ts";
import { flavours } from "../replication/lab.ts";
import { mustRun } from "../support/programs.ts";
import { until } from "../support/until.ts";
import { type Bench, collect, commits, ids, isCommit, openBench } from "./bench.ts";

describe.each(await flavours())("$name", ({ binDir }) => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await openBench(binDir);
  });
  afterAll(() => bench.lab.close());

  const rule = async (names: string) => {
    await bench.server.sql(`alter system set synchronous_standby_names = '${names}'`);
    await bench.server.sql("select pg_reload_conf()");
    await until(
      "the rule is in force",
      { limitMs: 5000 },
      async () => (await bench.server.value("show synchronous_standby_names")) === names,
    );
  };
  const alone = (id: number) =>
    bench.server.sql(`set synchronous_commit = local; insert into t values (${id}, 'alone')`);

  test("rows are read, the commit comes once as many standbys hold it as the rule asks for", async () => {
    await rule("ANY 1 (nobody)");
    const config = await bench.slot();
    const client = await ReplicationClient.connect(config);
    const ended: Commit[] = [];
    const seen: number[] = [];
    const reading = client.consume((event) => {
      seen.push(...ids([event]));
      if (isCommit(event)) ended.push(event);
    });
    await alone(1);
    await until("its row is read", { limitMs: 5000 }, () => seen.includes(1));
    await alone(2);
    expect(ended).toEqual([]);
    expect(seen).toEqual([1]);
    await rule("");
    await until("both are handed out", { limitMs: 5000 }, () => ended.length === 2);
    expect(seen).toEqual([1, 2]);
    client.stop();
    await reading;
  });

  test("what is held back when the stream is stopped comes again", async () => {
    const config = await bench.slot();
    await rule("FIRST 1 (nobody)");
    const client = await ReplicationClient.connect(config);
    await alone(10);
    await until("it has arrived", { limitMs: 5000 }, () => client.metrics().bytesReceived > 100);
    const started = performance.now();
    setTimeout(() => client.stop(), 20);
    const kinds: string[] = [];
    for await (const event of client) kinds.push(event.kind);
    expect(kinds).not.toContain("commit");
    expect(performance.now() - started).toBeLessThan(2000);
    await rule("");
    const again = await ReplicationClient.connect(config);
    expect(ids(await collect(again, commits(1)))).toEqual([10]);
  });

  test("a role that may not see the standbys is told so at connect", async () => {
    await bench.server.sql("create role blind login replication");
    const config = { ...(await bench.slot()), user: "blind" };
    await rule("ANY 1 (nobody)");
    await expect(ReplicationClient.connect(config)).rejects.toMatchObject({
      kind: "server",
      hint: expect.stringContaining("pg_monitor"),
    });
    const client = await ReplicationClient.connect({ ...config, unconfirmed: "deliver" });
    await client.shutdown();
    await rule("");
  });

  test("a new primary that never had what was applied is refused, though its WAL is longer", async () => {
    const config = await bench.slot();
    const { lab, server } = bench;
    await server.process.stop("fast", 20_000);
    const dir = lab.path(`copy-${config.slot}`);
    await cp(server.dir, dir, { recursive: true, preserveTimestamps: true });
    if (lab.owner !== undefined) await mustRun("chown", ["-R", lab.owner.name, dir]);
    const settings = {
      wal_level: "logical",
      max_replication_slots: 60,
      max_wal_senders: 20,
      max_prepared_transactions: 5,
    };
    const old = await lab.start(server.dir, { ...settings, port: server.port });
    const other = await lab.standby(dir, old, settings);
    const port = (at: number) => ({ host: "127.0.0.1", port: at });
    const client = await ReplicationClient.connect({
      ...config,
      host: undefined as never,
      port: undefined as never,
      hosts: [port(old.port), port(other.port)],
      reconnect: { maxAttempts: 30, baseDelayMs: 50, maxDelayMs: 200 },
      unconfirmed: "deliver",
    });
    // The standby leaves the history here; the primary goes on.
    await until(
      "the standby streams",
      { limitMs: 10_000 },
      async () => (await old.value("select count(*) from pg_stat_replication")) !== "0",
    );
    await other.sql("select pg_promote(true)");
    expect(client.timeline).toBe(1);
    const reading = client
      .consume((event) => {
        if (isCommit(event)) client.updateAppliedLsn(event.endLsn);
      })
      .then(
        () => undefined,
        (error: ReplicationError) => error,
      );
    await old.sql("insert into t values (20, 'only here')");
    await until("it is applied", { limitMs: 5000 }, () => client.lastAppliedLsn > 0n);
    await other.sql("insert into t select i, repeat('x', 500) from generate_series(1000, 3000) i");
    await old.process.stop("immediate", 20_000);
    expect(await reading).toMatchObject({
      kind: "slot",
      message: expect.stringContaining("left that timeline at"),
      hint: expect.stringContaining("re-seed"),
    });
    // The same for a consumer that comes back with its checkpoint.
    const later = { ...config, port: other.port, startLsn: client.lastAppliedLsn };
    await expect(ReplicationClient.connect({ ...later, startTimeline: 1 })).rejects.toMatchObject({
      kind: "slot",
    });
  });
});
