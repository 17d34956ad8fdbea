/** PostgreSQL's frontend/backend protocol 3.0: bytes to messages and back, without any I/O. */
import { ProtocolError, type ServerMessage } from "./errors.ts";

/** What a server says. Bodies of CopyData share memory with the bytes that were fed. */
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
  | { readonly kind: "copyData"; readonly bytes: Buffer }
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

const PROTOCOL_3_0 = 196608;
const SSL_REQUEST = 80877103;

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

/** A frame's meaning. Throws ProtocolError on an unknown message, or a body that ends too early. */
export function decode(type: number, body: Buffer): BackendMessage {
  const name = String.fromCharCode(type);
  const decoder = DECODERS[name];
  if (decoder === undefined) throw new ProtocolError(`unknown message ${JSON.stringify(name)}`);
  return decoder(new Reader(body, name));
}

/** Reads one message's body; running past its end is a ProtocolError, not a RangeError. */
class Reader {
  readonly #bytes: Buffer;
  readonly #type: string;
  #at = 0;
  constructor(bytes: Buffer, type: string) {
    this.#bytes = bytes;
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
    routine: fields.get("R"),
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
  const bytes = Buffer.allocUnsafe(1 + length);
  bytes[0] = type.charCodeAt(0);
  bytes.writeInt32BE(length, 1);
  let at = 5;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
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
