/** What a client says in the extended protocol, as bytes: several messages that go out as one. */

const text = (value: string) => Buffer.from(`${value}\0`);

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, 0, "latin1");
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

/** No parameter types: PostgreSQL finds them. */
export function parseMessage(name: string, sql: string): Buffer {
  return message("P", Buffer.concat([text(name), text(sql), Buffer.alloc(2)]));
}

/** The protocol counts parameters in 16 bits. */
export const MOST_PARAMETERS = 65_535;

/** To the unnamed portal; a Buffer goes as it is, in binary form; all results come as text. */
export function bindMessage(name: string, values: readonly (string | Buffer | null)[]): Buffer {
  if (values.length > MOST_PARAMETERS) {
    throw new RangeError(
      `${values.length} parameters: a statement takes ${MOST_PARAMETERS} at most`,
    );
  }
  const lengths = values.map((value) => (value === null ? 0 : Buffer.byteLength(value)));
  const size = lengths.reduce((sum, length) => sum + 2 + 4 + length, 0);
  const bytes = Buffer.allocUnsafe(1 + 4 + 1 + Buffer.byteLength(name) + 1 + 2 + 2 + size + 2);
  let at = bytes.write("B", 0, "latin1");
  at = bytes.writeInt32BE(bytes.length - 1, at);
  at = bytes.writeUInt8(0, at);
  at += bytes.write(name, at);
  at = bytes.writeUInt8(0, at);
  at = bytes.writeUInt16BE(values.length, at);
  for (const value of values) at = bytes.writeInt16BE(Buffer.isBuffer(value) ? 1 : 0, at);
  at = bytes.writeUInt16BE(values.length, at);
  for (const [position, value] of values.entries()) {
    at = bytes.writeInt32BE(value === null ? -1 : (lengths[position] ?? 0), at);
    if (typeof value === "string") at += bytes.write(value, at);
    else if (value !== null) at += value.copy(bytes, at);
  }
  bytes.writeInt16BE(0, at);
  return bytes;
}

/** Of the unnamed portal, as the next one. */
export const DESCRIBE = message("D", Buffer.from("P\0"));
export const EXECUTE_AND_SYNC = Buffer.concat([
  message("E", Buffer.alloc(5)),
  message("S", Buffer.alloc(0)),
]);

/** Beyond this much a copy costs more than several writes at once. */
const COPY_BYTES = 16 * 1024;

interface Sink {
  write(bytes: Buffer): unknown;
  cork(): void;
  uncork(): void;
}

/** Messages that belong together go out together. */
export function send(to: Sink, messages: readonly Buffer[]): void {
  if (messages.reduce((sum, { length }) => sum + length, 0) <= COPY_BYTES) {
    to.write(Buffer.concat(messages));
    return;
  }
  to.cork();
  for (const one of messages) to.write(one);
  to.uncork();
}
