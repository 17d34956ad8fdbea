/** A stream over a bad wire, from a server that dies, into a slow consumer: nothing is missing, nothing hangs. */
import type { Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  Lsn,
  ReplicationClient,
  type ReplicationConfig,
  ReplicationError,
  type ReplicationEvent,
} from "../../src/logical/index.ts";
import { clock } from "../replication/lab.ts";
import { fully } from "../support/fully.ts";
import { Random } from "../support/random.ts";
import { openRelay } from "../support/relay.ts";
import { until } from "../support/until.ts";
import { type Bench, collect, commits, ids, openBench } from "./bench.ts";

const SEED = process.env.SEED ?? String(Date.now() % 100_000);
const CUTS = fully ? 200 : 25;
const GARBLED = fully ? 300 : 30;
/** A transaction's rows, with what the server may say in a moment of its own: keepalives. */
const isChange = ({ kind }: ReplicationEvent) => kind !== "keepalive";

let bench: Bench;
beforeAll(async () => {
  bench = await openBench(undefined);
}, 60_000);
afterAll(() => bench.lab.close());

/** Counts rows of one consumer: each is the next one, or a repetition of what was not acknowledged. */
class Follower {
  last = 0;
  acknowledged = 0;
  repeated = 0;
  readonly #random: Random;
  #open: number[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  take(event: ReplicationEvent, client: () => ReplicationClient): void {
    if (event.kind === "begin") this.#open = [];
    if (event.kind === "insert") this.#open.push(Number(event.new.id));
    if (event.kind !== "commit") return;
    for (const id of this.#open) {
      if (id <= this.last) {
        this.repeated += 1;
        expect(id, "what was acknowledged never comes again").toBeGreaterThan(this.acknowledged);
      }
      expect(id, "no row is missing").toBeLessThanOrEqual(this.last + 1);
      this.last = id;
    }
    if (!this.#random.chance(0.3)) return;
    this.acknowledged = this.last;
    client().updateAppliedLsn(event.endLsn);
  }
}

test(`cut ${CUTS} times at a random byte: no transaction is missing, SEED=${SEED}`, {
  timeout: 240_000,
}, async () => {
  const config = await bench.slot();
  const random = new Random(SEED);
  let [cuts, armed] = [0, false];
  const wire = await openRelay(bench.server, (client, server) => {
    let budget = random.int(500, 6000);
    return {
      fromServer: (chunk) => {
        budget -= chunk.length;
        if (!armed || cuts >= CUTS || budget > 0) return void client.write(chunk);
        cuts += 1;
        client.write(chunk.subarray(0, chunk.length + budget));
        client.destroySoon();
        server.destroy();
      },
    };
  });
  const follower = new Follower(random);
  const client = await ReplicationClient.connect({
    ...config,
    port: wire.port,
    reconnect: { maxAttempts: 1000, baseDelayMs: 2, maxDelayMs: 20 },
  });
  const reading = client.consume((event) => follower.take(event, () => client));
  let isReading = true;
  void reading
    .then(undefined, () => undefined)
    .then(() => {
      isReading = false; // `reading` says why, at the end
    });
  armed = true;
  let id = 0;
  const insert = async () => {
    id += 1;
    await bench.server.sql(`insert into t values (${id}, 'row')`);
  };
  try {
    for (let more = 20; more > 0 && isReading; more -= cuts >= CUTS ? 1 : 0) await insert();
    await until(
      "all has come",
      { limitMs: 20_000 },
      () => !client.isRunning || follower.last === id,
    );
    expect(client.metrics().reconnects).toBeGreaterThan(CUTS / 4);
    console.log(
      `${id} rows, ${client.metrics().reconnects} reconnects, ${follower.repeated} again`,
    );
  } finally {
    client.stop();
    await reading;
    await wire.close();
    await bench.server.sql("truncate t");
  }
});

test.each([
  ["by its only host", 3, 5],
  ["by the first of two hosts", 1, 2],
])(
  "lost while it begins, %s: one session follows, and nobody drops what that brings",
  {
    timeout: 60_000,
  },
  async (_, losses, begins) => {
    const { host, port, ...config } = await bench.slot();
    let [begun, left] = [0, 0];
    const streams = new Set<Socket>();
    const wire = await openRelay(bench.server, (client, server) => ({
      fromClient: (chunk) => {
        if (chunk.includes("START_REPLICATION")) {
          begun += 1;
          streams.add(client);
          left -= 1;
          if (left >= 0) return void client.destroy();
        }
        server.write(chunk);
      },
    }));
    const others = losses === 1 ? [`${host}:${port}`] : [];
    const client = await ReplicationClient.connect({
      ...config,
      hosts: [`127.0.0.1:${wire.port}`, ...others],
      reconnect: { maxAttempts: 1000, baseDelayMs: 2, maxDelayMs: 20 },
    });
    const seen: number[] = [];
    const reading = client.consume((event) => {
      if (event.kind === "insert") seen.push(Number(event.new.id));
      if (event.kind === "commit") client.updateAppliedLsn(event.endLsn);
    });
    try {
      left = losses;
      for (const one of streams) one.destroy();
      await until("it streams again", { limitMs: 10_000 }, () => client.metrics().reconnects === 1);
      for (let id = 1; id <= 50; id += 1)
        await bench.server.sql(`insert into t values (${id}, 'row')`);
      await until("all has come", { limitMs: 10_000 }, () => seen.length >= 50);
      expect(seen).toEqual(Array.from({ length: 50 }, (_, at) => at + 1));
      expect(client.metrics().reconnects).toBe(1);
      expect(begun).toBe(begins);
    } finally {
      client.stop();
      await reading;
      await wire.close();
      await bench.server.sql("truncate t");
    }
  },
);

test("lost before the first acknowledgement it resumes where it began, not at the older start that was asked for", async () => {
  const config = await bench.slot();
  const first = await ReplicationClient.connect(config);
  await bench.server.sql("insert into t values (1, 'seen before')");
  await collect(first, commits(1));
  const sockets: Socket[] = [];
  const wire = await openRelay(bench.server, (client) => {
    sockets.push(client);
    return {};
  });
  const client = await ReplicationClient.connect({
    ...config,
    port: wire.port,
    startLsn: Lsn.from(first.lastAppliedLsn - 8n),
    onForwarded: "warn",
    onWarning: () => undefined,
    reconnect: { maxAttempts: 1000, baseDelayMs: 2, maxDelayMs: 20 },
  });
  for (const socket of sockets) socket.destroy();
  await bench.server.sql("insert into t values (2, 'new')");
  expect(ids(await collect(client, commits(1)))).toEqual([2]);
  expect(client.metrics().reconnects).toBe(1);
  await wire.close();
  await bench.server.sql("truncate t");
});

test("feedback flushed while there is no session goes out with the next one, or is said not to", async () => {
  let [shut, refused] = [false, 0];
  const sockets = new Set<Socket>();
  const wire = await openRelay(bench.server, (client) => {
    sockets.add(client);
    refused += shut ? 1 : 0;
    if (shut) client.destroy();
    return {};
  });
  const untilRefused = async () => {
    const before = refused;
    await until("it tries again", { limitMs: 10_000 }, () => refused > before + 1);
  };
  const config = await bench.slot();
  const reconnect = { maxAttempts: 1000, baseDelayMs: 2, maxDelayMs: 20 };
  const client = await ReplicationClient.connect({ ...config, port: wire.port, reconnect });
  const cut = async () => {
    shut = true;
    for (const socket of sockets) socket.destroy();
    await untilRefused();
  };
  await cut();
  let sent = false;
  const flushed = client.flushFeedback().then(() => {
    sent = true;
  });
  await untilRefused();
  expect(sent).toBe(false);
  shut = false;
  await flushed;
  expect(client.metrics().reconnects).toBe(1);
  await cut();
  const never = expect(client.flushFeedback()).rejects.toMatchObject({ kind: "state" });
  await client.shutdown();
  await never;
  await wire.close();
});

test("the server dies and comes back under the stream: nothing is missing", {
  timeout: 120_000,
}, async () => {
  const own = await openBench(undefined);
  try {
    const config = await own.slot();
    const client = await ReplicationClient.connect({
      ...config,
      reconnect: { maxAttempts: 1000, baseDelayMs: 10, maxDelayMs: 100 },
    });
    const follower = new Follower(new Random(SEED));
    const reading = client.consume((event) => follower.take(event, () => client));
    let { server } = own;
    let id = 0;
    for (let round = 0; round < (fully ? 10 : 3); round += 1) {
      for (let count = 0; count < 40; count += 1) {
        id += 1;
        await server.sql(`insert into t values (${id}, 'row')`);
      }
      await server.process.stop("immediate", 20_000);
      const settings = { wal_level: "logical", port: server.port, max_replication_slots: 60 };
      server = await own.lab.start(server.dir, settings);
    }
    await until(
      "all has come",
      { limitMs: 20_000 },
      () => !client.isRunning || follower.last === id,
    );
    client.stop();
    await reading;
  } finally {
    await own.lab.close();
  }
});

test("every message split at every byte, with pauses longer than the idle interval: the same events", {
  timeout: 60_000,
}, async () => {
  const straight = await bench.slot();
  const slow = await bench.slot();
  let sending = Promise.resolve();
  const wire = await openRelay(bench.server, (client) => {
    const dribble = async (chunk: Buffer) => {
      client.setNoDelay(true);
      for (const [at, byte] of chunk.entries()) {
        if (client.destroyed) return;
        client.write(Buffer.of(byte));
        await (at % 97 === 96 ? clock.sleep(25) : new Promise<void>((next) => setImmediate(next)));
      }
    };
    return {
      fromServer: (chunk) => {
        sending = sending.then(() => dribble(chunk));
      },
    };
  });
  const clients = [
    await ReplicationClient.connect(straight),
    await ReplicationClient.connect({
      ...slow,
      port: wire.port,
      idleWakeupIntervalMs: 10,
      connectTimeoutMs: 30_000,
    }),
  ];
  await bench.server.sql("insert into t select i, repeat('äö', i) from generate_series(1, 12) i");
  await bench.server.sql("update t set id = 100 where id = 1");
  await bench.server.sql("delete from t");
  const bare = ({
    serverTimeMicros: _,
    ...event
  }: ReplicationEvent & { serverTimeMicros?: number }) => event;
  const [one, other] = await Promise.all(
    clients.map(async (client) => (await collect(client, commits(3))).filter(isChange).map(bare)),
  );
  expect(other).toEqual(one);
  expect(one?.length).toBeGreaterThan(25);
  await wire.close();
});

test(`one byte garbled, ${GARBLED} times: events or a typed error, never a hang, SEED=${SEED}`, {
  timeout: 180_000,
}, async () => {
  const random = new Random(SEED);
  await bench.server.sql("truncate t");
  let errors = 0;
  for (let round = 0; round < GARBLED; round += 1) {
    const config = await bench.slot();
    await bench.server.sql("insert into t select i, 'row ' || i from generate_series(1, 20) i");
    await bench.server.sql("truncate t");
    let target = -1;
    const wire = await openRelay(bench.server, (client) => ({
      fromServer: (chunk) => {
        const at = target;
        if (at >= 0 && at < chunk.length) chunk[at] = (chunk[at] as number) ^ random.int(1, 255);
        target = at < 0 ? at : at - chunk.length;
        client.write(chunk);
      },
    }));
    const events: ReplicationEvent[] = [];
    const more = { maxMessageBytes: 100_000, unconfirmed: "deliver" } as const;
    const opened = ReplicationClient.connect({ ...config, ...more, port: wire.port });
    // Anywhere in the session, login included.
    target = random.int(0, 3000);
    const ended = opened.then(async (client) => {
      const over = setTimeout(() => client.abort(new Error("waits for a long message")), 1000);
      try {
        for (;;) {
          const event = await client.recv();
          if (event === null) return;
          events.push(event);
          if (event.kind === "truncate") return client.abort();
        }
      } finally {
        clearTimeout(over);
      }
    });
    const error: unknown = await ended.catch((cause: unknown) => cause);
    if (error !== undefined) expect(error).toBeInstanceOf(ReplicationError);
    errors += error === undefined ? 0 : 1;
    await wire.close();
    await dropWhenFree(config);
  }
  expect(errors).toBeGreaterThan(0);
});

async function dropWhenFree(config: ReplicationConfig): Promise<void> {
  await until("the slot is free", { limitMs: 10_000, everyMs: 5 }, async () => {
    return !(await bench.isActive(config));
  });
  await bench.server.sql(`select pg_drop_replication_slot('${config.slot}')`);
}

test("a consumer far slower than wal_sender_timeout: connected, its buffer bounded", {
  timeout: 120_000,
}, async () => {
  const own = await openBench(undefined, { wal_sender_timeout: "2s" });
  try {
    const client = await ReplicationClient.connect({
      ...(await own.slot()),
      bufferEvents: 16,
      bufferBytes: 1 << 20,
      statusIntervalMs: 500,
    });
    // More than all buffers on the way hold.
    await own.server.sql(
      "insert into t select i, repeat('x', 20000) from generate_series(1, 2000) i",
    );
    const began = performance.now();
    const before = process.memoryUsage.rss();
    let rows = 0;
    for await (const { kind } of client) {
      if (kind === "insert") rows += 1;
      const isSlow = performance.now() - began < (fully ? 60_000 : 8000);
      if (isSlow) await clock.sleep(fully ? 1000 : 400);
      if (kind === "commit") client.stop();
    }
    expect(rows).toBe(2000);
    expect(client.metrics()).toMatchObject({ reconnects: 0 });
    expect(client.metrics().stallCount).toBeGreaterThan(0);
    expect(process.memoryUsage.rss() - before).toBeLessThan(200 * 2 ** 20);
  } finally {
    await own.lab.close();
  }
});
