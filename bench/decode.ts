/**
 * What one message of a change stream costs, without a server and without a socket: bytes in, event out, by us and by
 * the npm package pg-logical-replication with its pgoutput plugin over pg's own parser, by turns in one process.
 *
 *   node bench/decode.ts [--messages 20000] [--rounds 41] [--json FILE]
 *
 * Each sample is one round of so many messages, read from chunks of 64 kB as a socket gives them.
 */
import { createRequire } from "node:module";
import { readOptions } from "../scripts/options.ts";
import { FrameBuffer } from "../src/logical/buffer.ts";
import { EventReader } from "../src/logical/event-reader.ts";
import { settingsOf } from "../src/logical/options.ts";
import { statusUpdate, wallMicros } from "../src/logical/wal-message.ts";
import { FrameSplitter } from "../src/replication/frames.ts";
import { copyData, decode } from "../src/replication/wire.ts";
import { conditionsOf, describeConditions, positive, writeResult } from "./conditions.ts";
import { summarize } from "./stats.ts";

/** What is used of the rival: the part of its service that stands between pg's parser and its plugin. */
interface Rival {
  readonly Parser: new () => {
    parse(
      bytes: Buffer,
      on: (message: { readonly name: string; readonly chunk?: Buffer }) => void,
    ): void;
  };
  readonly PgoutputPlugin: new (options: object) => { parse(bytes: Buffer): unknown };
  readonly LogicalReplicationService: new (
    client: object,
    config: object,
  ) => { acknowledge(lsn: string): Promise<boolean> };
}

function loadRival(): Rival {
  const own = createRequire(import.meta.url);
  const pg = createRequire(own.resolve("pg"));
  const { Parser } = createRequire(pg.resolve("pg-protocol"))("./parser.js");
  return { Parser, ...own("pg-logical-replication") };
}

const CHUNK_BYTES = 65_536;
const RELATION_ID = 16_384;

function int(bytes: 1 | 2 | 4 | 8, value: number): Buffer {
  const out = Buffer.alloc(8);
  out.writeBigInt64BE(BigInt(value));
  return out.subarray(8 - bytes);
}

const text = (value: string) => Buffer.from(`${value}\0`);

function xlogData(...body: readonly Buffer[]): Buffer {
  const [start, end, sent] = [int(8, 23_456_789), int(8, 23_456_789), int(8, 8e14)];
  return copyData(Buffer.concat([Buffer.from("w"), start, end, sent, ...body]));
}

const column = (name: string, type: number) =>
  Buffer.concat([int(1, 0), text(name), int(4, type), int(4, -1)]);

const BEGIN = xlogData(Buffer.from("B"), int(8, 23_456_800), int(8, 8e14), int(4, 7));
const RELATION = xlogData(
  Buffer.from("R"),
  int(4, RELATION_ID),
  text("public"),
  text("t"),
  Buffer.from("d"),
  int(2, 2),
  column("id", 23),
  column("v", 25),
);

function insert(payload: number): Buffer {
  const value = (one: string) =>
    Buffer.concat([Buffer.from("t"), int(4, one.length), Buffer.from(one)]);
  const row = [int(2, 2), value("1234567"), value("x".repeat(payload))];
  return xlogData(Buffer.from("I"), int(4, RELATION_ID), Buffer.from("N"), ...row);
}

const KEEPALIVE = copyData(
  Buffer.concat([Buffer.from("k"), int(8, 23_456_789), int(8, 8e14), int(1, 0)]),
);
const FIELDS = [
  "SERROR",
  "VERROR",
  "C57P01",
  "Mterminating connection due to administrator command",
  "Fpostgres.c",
  "L3327",
  "RProcessInterrupts",
  "",
];
const FIELD_BYTES = Buffer.concat(FIELDS.map(text));
const ERROR = Buffer.concat([Buffer.from("E"), int(4, FIELD_BYTES.length + 4), FIELD_BYTES]);

/** The same message again and again, cut as a socket cuts it. */
function chunksOf(first: readonly Buffer[], message: Buffer, count: number): Buffer[] {
  const all = Buffer.concat([...first, ...Array.from({ length: count }, () => message)]);
  const chunks: Buffer[] = [];
  for (let at = 0; at < all.length; at += CHUNK_BYTES)
    chunks.push(all.subarray(at, at + CHUNK_BYTES));
  return chunks;
}

type Round = () => void | Promise<void>;

interface Case {
  readonly name: string;
  readonly bytes: number;
  /** In one round. */
  readonly count: number;
  readonly ours: Round;
  readonly rival: Round;
}

/** From the socket's bytes to events, as the client does it. */
function readOurs(chunks: readonly Buffer[], expected: number): Round {
  return () => {
    const settings = settingsOf({ slot: "s", publications: ["p"] });
    const [reader, splitter] = [new EventReader(settings), new FrameSplitter()];
    const buffer = new FrameBuffer({
      events: Number.MAX_SAFE_INTEGER,
      bytes: Number.MAX_SAFE_INTEGER,
    });
    let seen = 0;
    for (const chunk of chunks) {
      splitter.push(chunk, (_type, bytes, from, end) => buffer.put(bytes, from, end));
      while (reader.next(buffer) !== undefined) seen += 1;
    }
    if (seen !== expected) throw new Error(`${seen} events of ${expected}`);
  };
}

/** From the socket's bytes to what its `data` and `heartbeat` listeners get. */
function readRival(rival: Rival, chunks: readonly Buffer[], expected: number): Round {
  return () => {
    const plugin = new rival.PgoutputPlugin({ protoVersion: 1, publicationNames: ["p"] });
    const parser = new rival.Parser();
    let seen = 0;
    const lsnOf = (bytes: Buffer) =>
      `${bytes.readUInt32BE(1).toString(16).toUpperCase()}/${bytes.readUInt32BE(5).toString(16).toUpperCase()}`;
    for (const chunk of chunks) {
      parser.parse(chunk, ({ chunk: bytes }) => {
        if (bytes === undefined) return;
        const lsn = lsnOf(bytes);
        const event =
          bytes[0] === 0x77
            ? plugin.parse(bytes.subarray(25))
            : Math.floor(bytes.readUInt32BE(9) * 4294967.296 + bytes.readUInt32BE(13) / 1000);
        if (lsn !== "" && event !== undefined) seen += 1;
      });
    }
    if (seen !== expected) throw new Error(`${seen} events of ${expected}`);
  };
}

function casesOf(rival: Rival, messages: number): Case[] {
  const rows = [64, 256, 1024, 4096, 16_384].map((payload) => {
    const message = insert(payload);
    const count = Math.max(500, Math.round(messages / Math.max(1, payload / 256)));
    const chunks = chunksOf([BEGIN, RELATION], message, count - 2);
    const name = `insert, ${payload} bytes`;
    const ours = readOurs(chunks, count);
    return { name, bytes: message.length, count, ours, rival: readRival(rival, chunks, count) };
  });
  const alive = chunksOf([], KEEPALIVE, messages);
  const failing = chunksOf([], ERROR, messages);
  return [
    ...rows,
    {
      name: "keepalive",
      bytes: KEEPALIVE.length,
      count: messages,
      ours: readOurs(alive, messages),
      rival: readRival(rival, alive, messages),
    },
    {
      name: "error response",
      bytes: ERROR.length,
      count: messages,
      ours: () => {
        const splitter = new FrameSplitter();
        for (const chunk of failing) {
          splitter.push(chunk, (type, bytes, from, end) => decode(type, bytes.subarray(from, end)));
        }
      },
      rival: () => {
        const parser = new rival.Parser();
        for (const chunk of failing) parser.parse(chunk, () => undefined);
      },
    },
    statusCase(rival, messages),
  ];
}

/** The rival's goes through its service, to a connection that takes it and does nothing. */
function statusCase({ LogicalReplicationService }: Rival, messages: number): Case {
  const lsn = 23_456_789n;
  const service = new LogicalReplicationService(
    {},
    { acknowledge: { auto: false, timeoutSeconds: 0 } },
  );
  Object.assign(service, { _connection: { sendCopyFromChunk: () => undefined }, _stop: false });
  return {
    name: "status update",
    bytes: 39,
    count: messages,
    ours: () => {
      for (let sent = 0; sent < messages; sent += 1) {
        const nowMicros = wallMicros();
        statusUpdate({
          written: lsn,
          flushed: lsn,
          applied: lsn,
          nowMicros,
          replyRequested: false,
        });
      }
    },
    rival: async () => {
      for (let sent = 0; sent < messages; sent += 1) await service.acknowledge("0/165EC15");
    },
  };
}

/** Nanoseconds per message. */
async function timed(round: Round, messages: number): Promise<number> {
  const began = performance.now();
  await round();
  return ((performance.now() - began) * 1e6) / messages;
}

const { values: args } = readOptions({
  options: {
    messages: { type: "string", default: "20000" },
    rounds: { type: "string", default: "41" },
    json: { type: "string" },
  },
});
const messages = positive("--messages", args.messages);
const rounds = positive("--rounds", args.rounds);
const conditions = await conditionsOf();
console.log(describeConditions(conditions));
console.log(`ns per message, ${rounds} rounds by turns\n`);
console.log(
  "message               ours p50      p99      max   rival p50      p99      max   rival/ours   ours MB/s",
);
const results = [];
for (const one of casesOf(loadRival(), messages)) {
  const samples = { ours: [] as number[], rival: [] as number[] };
  for (let round = -3; round < rounds; round += 1) {
    const order = round % 2 === 0 ? (["ours", "rival"] as const) : (["rival", "ours"] as const);
    for (const who of order) {
      const took = await timed(one[who], one.count);
      if (round >= 0) samples[who].push(took); // the first rounds warm up
    }
  }
  const [ours, rival] = [summarize(samples.ours), summarize(samples.rival)];
  const cell = (value: number) => value.toFixed(0).padStart(9);
  const line = [ours.p50, ours.p99, ours.max].map(cell).join("");
  const other = [rival.p50, rival.p99, rival.max].map(cell).join("");
  const mb = (one.bytes / ours.p50) * 1000;
  const ratio = `${(rival.p50 / ours.p50).toFixed(2)} ×`;
  console.log(
    `${one.name.padEnd(20)} ${line}   ${other} ${ratio.padStart(12)} ${mb.toFixed(0).padStart(11)}`,
  );
  results.push({ name: one.name, bytes: one.bytes, messages: one.count, ours, rival });
}
console.log(`\nwritten to ${await writeResult("decode", { conditions, results }, args.json)}`);
