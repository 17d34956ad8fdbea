/**
 * A prepared statement as one message: what a worker asks many times a second must cost little.
 *
 * pg has the columns described at each execution and writes a message per step; here they are described once on a
 * connection, and everything is written at once. Connections, limits and errors stay pg's own.
 */
import pg, { type Connection, type Submittable } from "pg";
import type { Queryable } from "./call.ts";

/** What needs no knowledge of its type to become text. */
export type Value = string | number | bigint | boolean | null | undefined;
type Row = Record<string, unknown>;

interface Column {
  readonly name: string;
  readonly parse: (text: string) => unknown;
}

/** What pg's connection has and its types leave out. */
type Wire = Connection & {
  /** Name to text. */
  readonly parsedStatements: Readonly<Record<string, string | undefined>>;
};

/** Columns of the statements of a connection: another server may answer with other types. */
const known = new WeakMap<Connection, Map<string, readonly Column[]>>();

export function isPlain(value: unknown): value is Value {
  return value === null || typeof value !== "object";
}

/** Run it and answer its rows; rejects with pg's own errors. */
export function runPrepared(
  db: Queryable,
  { name, text, values }: { name: string; text: string; values: readonly Value[] },
): Promise<Row[]> {
  return new Promise((resolve, reject) => {
    const statement = new Prepared(name, text, values);
    const done = (error: Error | null | undefined, rows: Row[]) =>
      error == null ? resolve(rows) : reject(error);
    // Client and pool both take a submittable with a callback; their types know only the one of a client, without.
    (db as { query(query: Submittable, values: undefined, done: Done): void }).query(
      statement,
      undefined,
      done,
    );
  });
}

type Done = (error: Error | null | undefined, rows: Row[]) => void;

/** What pg calls while it runs; `name` and `text` are what it keeps account of. */
class Prepared implements Submittable {
  readonly name: string;
  readonly text: string;
  /** Set by pg. */
  callback: Done | undefined;
  readonly #bind: Buffer;
  readonly #rows: Row[] = [];
  #columns: Map<string, readonly Column[]> | undefined;
  #failure: Error | undefined;

  constructor(name: string, text: string, values: readonly Value[]) {
    this.name = name;
    this.text = text;
    this.#bind = bindMessage(name, values);
  }

  submit(connection: Connection): Error | null {
    const wire = connection as Wire;
    let columns = known.get(wire);
    if (columns === undefined) {
      columns = new Map();
      known.set(wire, columns);
    }
    this.#columns = columns;
    const parsed = wire.parsedStatements[this.name];
    if (parsed !== undefined && parsed !== this.text) {
      return new Error(`${this.name} is the name of another statement`);
    }
    const messages = [
      ...(parsed === undefined ? [parseMessage(this.name, this.text)] : []),
      this.#bind,
      ...(columns.has(this.name) ? [] : [DESCRIBE]),
      EXECUTE_AND_SYNC,
    ];
    wire.stream.write(messages.length === 1 ? messages[0] : Buffer.concat(messages));
    return null;
  }

  handleRowDescription({ fields }: { fields: readonly { name: string; dataTypeID: number }[] }) {
    const columns = fields.map(({ name, dataTypeID }) => ({
      name,
      parse: pg.types.getTypeParser(dataTypeID, "text") as (text: string) => unknown,
    }));
    this.#columns?.set(this.name, columns);
  }

  handleDataRow({ fields }: { fields: readonly (string | null)[] }): void {
    try {
      const row: Row = {};
      const columns = this.#columns?.get(this.name) ?? [];
      for (const [position, { name, parse }] of columns.entries()) {
        const text = fields[position] ?? null;
        row[name] = text === null ? null : parse(text);
      }
      this.#rows.push(row);
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
    }
  }

  handleReadyForQuery(): void {
    this.callback?.(this.#failure, this.#rows);
  }

  handleError(error: Error): void {
    this.callback?.(error, []);
  }

  handleCommandComplete(): void {}
  handleEmptyQuery(): void {}
  handlePortalSuspended(): void {}
}

const text = (value: string) => Buffer.from(`${value}\0`);

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, 0, "latin1");
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

/** No parameter types: PostgreSQL finds them. */
function parseMessage(name: string, sql: string): Buffer {
  return message("P", Buffer.concat([text(name), text(sql), Buffer.alloc(2)]));
}

/** To the unnamed portal, all values and results as text. */
function bindMessage(name: string, values: readonly Value[]): Buffer {
  const texts = values.map(textOf);
  const lengths = texts.map((value) => (value === null ? 0 : Buffer.byteLength(value)));
  const size = lengths.reduce((sum, length) => sum + 4 + length, 0);
  const bytes = Buffer.allocUnsafe(1 + 4 + 1 + Buffer.byteLength(name) + 1 + 2 + 2 + size + 2);
  let at = bytes.write("B", 0, "latin1");
  at = bytes.writeInt32BE(bytes.length - 1, at);
  at = bytes.writeUInt8(0, at);
  at += bytes.write(name, at);
  at = bytes.writeUInt8(0, at);
  at = bytes.writeInt16BE(0, at);
  at = bytes.writeInt16BE(texts.length, at);
  for (const [position, value] of texts.entries()) {
    at = bytes.writeInt32BE(value === null ? -1 : (lengths[position] ?? 0), at);
    if (value !== null) at += bytes.write(value, at);
  }
  bytes.writeInt16BE(0, at);
  return bytes;
}

function textOf(value: Value): string | null {
  return value === null || value === undefined ? null : String(value);
}

const DESCRIBE = message("D", Buffer.from("P\0"));
const EXECUTE_AND_SYNC = Buffer.concat([
  message("E", Buffer.alloc(5)),
  message("S", Buffer.alloc(0)),
]);
