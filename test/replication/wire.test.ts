import { expect, test } from "vitest";
import { ProtocolError } from "../../src/replication/errors.ts";
import { FrameSplitter } from "../../src/replication/frames.ts";
import {
  type BackendMessage,
  copyData,
  decode,
  password,
  query,
  saslInitialResponse,
  startup,
} from "../../src/replication/wire.ts";

const int16 = (value: number) => [value >> 8, value & 255];
const int32 = (value: number) => [
  value >>> 24,
  (value >> 16) & 255,
  (value >> 8) & 255,
  value & 255,
];
const text = (value: string) => [...Buffer.from(`${value}\0`)];
const message = (type: string, ...body: number[]) =>
  Buffer.from([type.charCodeAt(0), ...int32(body.length + 4), ...body]);

/** One of each, with an empty body, a null, an empty text, and a copy longer than a chunk. */
const SESSION: readonly [Buffer, BackendMessage][] = [
  [
    message("R", ...int32(10), ...text("SCRAM-SHA-256-PLUS"), ...text("SCRAM-SHA-256"), 0),
    {
      kind: "authentication",
      request: { method: "sasl", mechanisms: ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"] },
    },
  ],
  [
    message("R", ...int32(5), 1, 2, 3, 4),
    { kind: "authentication", request: { method: "md5", salt: Buffer.from([1, 2, 3, 4]) } },
  ],
  [message("R", ...int32(0)), { kind: "authentication", request: { method: "ok" } }],
  [
    message("R", ...int32(7)),
    { kind: "authentication", request: { method: "unsupported", code: 7 } },
  ],
  [
    message("S", ...text("server_version"), ...text("17.10")),
    { kind: "parameterStatus", name: "server_version", value: "17.10" },
  ],
  [message("K", ...int32(4711), ...int32(-2)), { kind: "backendKeyData", pid: 4711 }],
  [message("Z", 0x49), { kind: "readyForQuery", status: "idle" }],
  [
    message("T", ...int16(1), ...text("spaß"), ...new Array<number>(18).fill(0)),
    { kind: "rowDescription", fields: ["spaß"] },
  ],
  [
    message("D", ...int16(3), ...int32(-1), ...int32(0), ...int32(2), 0x68, 0x69),
    { kind: "dataRow", values: [null, "", "hi"] },
  ],
  [message("C", ...text("SELECT 1")), { kind: "commandComplete", tag: "SELECT 1" }],
  [message("I"), { kind: "emptyQuery" }],
  [
    message("A", ...int32(1), ...text("ch"), ...text("")),
    { kind: "notification", channel: "ch", payload: "" },
  ],
  [message("H", 0, ...int16(0)), { kind: "copyStart", direction: "out" }],
  [message("W", 0, ...int16(0)), { kind: "copyStart", direction: "both" }],
  [message("d"), { kind: "copyData", bytes: Buffer.alloc(0) }],
  [
    message("d", ...new Array<number>(3000).fill(7)),
    { kind: "copyData", bytes: Buffer.alloc(3000, 7) },
  ],
  [message("c"), { kind: "copyDone" }],
  [
    message("E", ...[..."VC"].flatMap((code) => [code.charCodeAt(0), ...text(`<${code}>`)]), 0),
    {
      kind: "error",
      error: {
        severity: "<V>",
        code: "<C>",
        message: "the server sent an error without a message",
        detail: undefined,
        hint: undefined,
        where: undefined,
        routine: undefined,
      },
    },
  ],
];
const BYTES = Buffer.concat(SESSION.map(([bytes]) => bytes));
const MEANING = SESSION.map(([, meaning]) => meaning);

function parse(bytes: Buffer, chunkBytes: number): BackendMessage[] {
  const splitter = new FrameSplitter();
  const found: BackendMessage[] = [];
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    found.push(...messages(splitter, bytes.subarray(at, at + chunkBytes)));
  }
  expect(splitter.midFrame).toBe(false);
  return found;
}

function messages(splitter: FrameSplitter, chunk: Buffer): BackendMessage[] {
  const found: BackendMessage[] = [];
  splitter.push(chunk, (type, bytes, from, end) => {
    found.push(decode(type, bytes.subarray(from, end)));
  });
  return found;
}

test.each([1, 2, 3, 5, 7, 64, 1000, 1_000_000])(
  "a session reads the same in chunks of %i bytes",
  (chunkBytes) => expect(parse(BYTES, chunkBytes)).toEqual(MEANING),
);

test("a message comes out as soon as its last byte is in, and no earlier", () => {
  const splitter = new FrameSplitter();
  const bytes = message("C", ...text("BEGIN"));
  expect(messages(splitter, bytes.subarray(0, -1))).toEqual([]);
  expect(splitter.midFrame).toBe(true);
  expect(messages(splitter, bytes.subarray(-1))).toEqual([
    { kind: "commandComplete", tag: "BEGIN" },
  ]);
});

test("a message within one chunk shares its memory: nothing is copied", () => {
  const chunk = message("d", 1, 2, 3);
  const [found] = messages(new FrameSplitter(), chunk);
  chunk[5] = 9;
  expect(found).toEqual({ kind: "copyData", bytes: Buffer.from([9, 2, 3]) });
});

test.each([
  ["a length below its own four bytes", Buffer.from([0x5a, 0, 0, 0, 3])],
  ["a length past what PostgreSQL sends", Buffer.from([0x64, 0x7f, 0xff, 0xff, 0xff])],
  ["an unknown type", message("?", 1)],
  ["a body that ends too early", message("K", 0, 0)],
  ["a text without its end", message("C", 0x41)],
  ["a value longer than its row", message("D", ...int16(1), ...int32(9), 0)],
  ["an unknown transaction status", message("Z", 0x51)],
])("%s is a protocol error", (_, bytes) => {
  expect(() => messages(new FrameSplitter(), bytes)).toThrow(ProtocolError);
});

test("a body beyond the limit is refused by its header, before anything is kept for it", () => {
  const splitter = new FrameSplitter(100);
  expect(messages(splitter, message("d", ...new Array<number>(100).fill(0)))).toHaveLength(1);
  const long = message("d", ...new Array<number>(101).fill(0)).subarray(0, 5);
  expect(() => messages(splitter, long)).toThrow(/"d" announces 105 bytes, at most 104/);
});

test("what we send has the bytes the protocol asks for", () => {
  expect([...startup({ user: "u" })]).toEqual([
    ...int32(4 + 4 + 5 + 2 + 1),
    ...int32(196608),
    ...text("user"),
    ...text("u"),
    0,
  ]);
  expect(query("select 1")).toEqual(message("Q", ...text("select 1")));
  expect(password("md5ä")).toEqual(message("p", ...text("md5ä")));
  expect(copyData(Buffer.from([1]))).toEqual(message("d", 1));
  expect(saslInitialResponse("S", "ab")).toEqual(
    message("p", ...text("S"), ...int32(2), 0x61, 0x62),
  );
});

test("a zero byte cannot be smuggled into a statement", () => {
  expect(() => query("select 1\0; drop")).toThrow(ProtocolError);
});
