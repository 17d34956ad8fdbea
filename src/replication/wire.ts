/** PostgreSQL's frontend/backend protocol 3.0: bytes to messages and back, without any I/O. */
import { ProtocolError, type ServerMessage } from "./errors.ts";

/** What a server says. Bodies of CopyData and DataRow share memory with the bytes that were fed. */
export type BackendMessage =
  | { readonly kind: "authentication"; readonly request: AuthenticationRequest }
  | { readonly kind: "parameterStatus"; readonly name: string; readonly value: string }
  | { readonly kind: "backendKeyData"; readonly pid: number }
  | { readonly kind: "readyForQuery"; readonly status: "idle" | "in_transaction" | "failed" }
  | { readonly kind: "rowDescription"; readonly fields: readonly string[] }
  | { readonly kind: "dataRow"; readonly values: readonly (string | null)[] }
  | { readonly kind: "commandComplete"; readonly tag: string }
  | { readonly kind: "emptyQuery" }
  | { readonly kind: "error"; readonly error: ServerMessage }
  | { readonly kind: "notice"; readonly notice: ServerMessage }
  | { readonly kind: "notification"; readonly channel: string; readonly payload: string }
  | { readonly kind: "copyStart"; readonly direction: "in" | "out" | "both" }
  | { readonly kind: "copyData"; readonly bytes: Uint8Array }
  | { readonly kind: "copyDone" }
  | { readonly kind: "negotiateVersion"; readonly minor: number };

export type AuthenticationRequest =
  | { readonly method: "ok" }
  | { readonly method: "cleartext" }
  | { readonly method: "md5"; readonly salt: Uint8Array }
  | { readonly method: "sasl"; readonly mechanisms: readonly string[] }
  | { readonly method: "saslContinue"; readonly data: string }
  | { readonly method: "saslFinal"; readonly data: string }
  | { readonly method: "unsupported"; readonly code: number };

const HEADER_BYTES = 5;
/** PostgreSQL's own limit (PQ_LARGE_MESSAGE_LIMIT); a longer one means that we lost step. */
const MAX_MESSAGE_BYTES = 0x3fffffff;
const PROTOCOL_3_0 = 196608;
const SSL_REQUEST = 80877103;

/**
 * Cuts a byte stream into messages; chunks may end anywhere, after every byte if need be.
 *
 * A message that lies whole within one chunk is not copied; one that spans chunks is copied once.
 * Throws ProtocolError on an impossible length or an unknown message.
 */
export class MessageParser {
  #header = new Uint8Array(HEADER_BYTES);
  #headerFilled = 0;
  #parts: Uint8Array[] = [];
  #missing = 0;

  /** Bytes of a message that is not complete yet. */
  get midMessage(): boolean {
    return this.#headerFilled > 0;
  }

  *push(chunk: Uint8Array): Generator<BackendMessage, void, undefined> {
    let at = 0;
    while (at < chunk.length) {
      at = this.#takeHeader(chunk, at);
      if (this.#headerFilled < HEADER_BYTES) return;
      const taken = Math.min(this.#missing, chunk.length - at);
      const part = chunk.subarray(at, at + taken);
      at += taken;
      this.#missing -= taken;
      if (this.#missing > 0) {
        if (taken > 0) this.#parts.push(part);
        continue;
      }
      yield this.#finish(part);
    }
  }

  #takeHeader(chunk: Uint8Array, from: number): number {
    const wanted = Math.min(HEADER_BYTES - this.#headerFilled, chunk.length - from);
    if (wanted === 0) return from;
    this.#header.set(chunk.subarray(from, from + wanted), this.#headerFilled);
    this.#headerFilled += wanted;
    if (this.#headerFilled < HEADER_BYTES) return from + wanted;
    const length = new DataView(this.#header.buffer).getInt32(1);
    if (length < 4 || length > MAX_MESSAGE_BYTES) {
      throw new ProtocolError(`message ${this.#type()} announces ${length} bytes`);
    }
    this.#missing = length - 4;
    return from + wanted;
  }

  #finish(last: Uint8Array): BackendMessage {
    const body = this.#parts.length === 0 ? last : Buffer.concat([...this.#parts, last]);
    const type = this.#type();
    this.#parts = [];
    this.#headerFilled = 0;
    return decode(type, body);
  }

  #type(): string {
    return String.fromCharCode(this.#header[0] ?? 0);
  }
}

type Decoder = (body: Reader) => BackendMessage;

const DECODERS: Readonly<Record<string, Decoder>> = {
  R: (body) => ({ kind: "authentication", request: authentication(body) }),
  S: (body) => ({ kind: "parameterStatus", name: body.cstring(), value: body.cstring() }),
  K: (body) => ({ kind: "backendKeyData", pid: body.int32() }),
  Z: (body) => ({ kind: "readyForQuery", status: transactionStatus(body.byte()) }),
  T: rowDescription,
  D: dataRow,
  C: (body) => ({ kind: "commandComplete", tag: body.cstring() }),
  I: () => ({ kind: "emptyQuery" }),
  E: (body) => ({ kind: "error", error: serverMessage(body) }),
  N: (body) => ({ kind: "notice", notice: serverMessage(body) }),
  A: notification,
  G: () => ({ kind: "copyStart", direction: "in" }),
  H: () => ({ kind: "copyStart", direction: "out" }),
  W: () => ({ kind: "copyStart", direction: "both" }),
  d: (body) => ({ kind: "copyData", bytes: body.rest() }),
  c: () => ({ kind: "copyDone" }),
  v: (body) => ({ kind: "negotiateVersion", minor: body.int32() }),
};

function decode(type: string, body: Uint8Array): BackendMessage {
  const decoder = DECODERS[type];
  if (decoder === undefined) throw new ProtocolError(`unknown message ${JSON.stringify(type)}`);
  return decoder(new Reader(body, type));
}

/** Reads one message's body; running past its end is a ProtocolError, not a RangeError. */
class Reader {
  readonly #bytes: Buffer;
  readonly #type: string;
  #at = 0;
  constructor(bytes: Uint8Array, type: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#type = type;
  }
  bytes(count: number): Buffer {
    const end = this.#at + count;
    if (count < 0 || end > this.#bytes.length) {
      throw new ProtocolError(`message ${JSON.stringify(this.#type)} ends too early`);
    }
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
  byte(): number {
    return this.bytes(1).readUInt8();
  }
  int16(): number {
    return this.bytes(2).readInt16BE();
  }
  int32(): number {
    return this.bytes(4).readInt32BE();
  }
  cstring(): string {
    const end = this.#bytes.indexOf(0, this.#at);
    const text = this.bytes((end === -1 ? this.#bytes.length + 1 : end) - this.#at);
    this.#at += 1;
    return text.toString("utf8");
  }
  rest(): Buffer {
    return this.bytes(this.#bytes.length - this.#at);
  }
}

function authentication(body: Reader): AuthenticationRequest {
  const code = body.int32();
  if (code === 0) return { method: "ok" };
  if (code === 3) return { method: "cleartext" };
  if (code === 5) return { method: "md5", salt: body.bytes(4) };
  if (code === 10) return { method: "sasl", mechanisms: mechanisms(body) };
  if (code === 11) return { method: "saslContinue", data: body.rest().toString("utf8") };
  if (code === 12) return { method: "saslFinal", data: body.rest().toString("utf8") };
  return { method: "unsupported", code };
}

function mechanisms(body: Reader): string[] {
  const names: string[] = [];
  for (let name = body.cstring(); name !== ""; name = body.cstring()) names.push(name);
  return names;
}

function transactionStatus(code: number): "idle" | "in_transaction" | "failed" {
  if (code === 0x49) return "idle";
  if (code === 0x54) return "in_transaction";
  if (code === 0x45) return "failed";
  throw new ProtocolError(`unknown transaction status ${code}`);
}

function rowDescription(body: Reader): BackendMessage {
  const fields = Array.from({ length: body.int16() }, () => {
    const name = body.cstring();
    body.bytes(18); // table, column, type, size, modifier, format: simple queries are all text
    return name;
  });
  return { kind: "rowDescription", fields };
}

function dataRow(body: Reader): BackendMessage {
  const values = Array.from({ length: body.int16() }, () => {
    const length = body.int32();
    return length === -1 ? null : body.bytes(length).toString("utf8");
  });
  return { kind: "dataRow", values };
}

function notification(body: Reader): BackendMessage {
  body.int32(); // the notifying backend's pid
  return { kind: "notification", channel: body.cstring(), payload: body.cstring() };
}

function serverMessage(body: Reader): ServerMessage {
  const fields = new Map<string, string>();
  for (let code = body.byte(); code !== 0; code = body.byte()) {
    fields.set(String.fromCharCode(code), body.cstring());
  }
  return {
    severity: fields.get("V") ?? fields.get("S") ?? "ERROR",
    code: fields.get("C") ?? "XX000",
    message: fields.get("M") ?? "the server sent an error without a message",
    detail: fields.get("D"),
    hint: fields.get("H"),
    where: fields.get("W"),
  };
}

const cstring = (text: string): Buffer => {
  if (text.includes("\0")) throw new ProtocolError("a zero byte cannot be sent in a text");
  return Buffer.from(`${text}\0`, "utf8");
};

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function message(type: string, ...parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 4);
  return Buffer.concat([Buffer.from(type, "latin1"), int32(length), ...parts]);
}

/** The first message of a session; `parameters` as in `user`, `database`, `replication`. */
export function startup(parameters: Readonly<Record<string, string>>): Buffer {
  const pairs = Object.entries(parameters).flatMap(([name, value]) => [
    cstring(name),
    cstring(value),
  ]);
  const body = Buffer.concat([int32(PROTOCOL_3_0), ...pairs, Buffer.from([0])]);
  return Buffer.concat([int32(body.length + 4), body]);
}

/** Asks for TLS; the server answers with the single byte S or N. */
export const sslRequest = (): Buffer => Buffer.concat([int32(8), int32(SSL_REQUEST)]);

export const query = (sql: string): Buffer => message("Q", cstring(sql));
export const password = (text: string): Buffer => message("p", cstring(text));
export const saslResponse = (data: string): Buffer => message("p", Buffer.from(data, "utf8"));
export const saslInitialResponse = (mechanism: string, data: string): Buffer => {
  const bytes = Buffer.from(data, "utf8");
  return message("p", cstring(mechanism), int32(bytes.length), bytes);
};
export const copyData = (bytes: Uint8Array): Buffer => message("d", bytes);
export const copyDone = (): Buffer => message("c");
export const terminate = (): Buffer => message("X");
