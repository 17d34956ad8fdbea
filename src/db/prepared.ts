/**
 * A prepared statement as one message: what a worker asks many times a second must cost little.
 *
 * pg has the columns described at each execution and writes a message per step; here they are described once on a
 * connection, and everything is written at once. Connections, limits and errors stay pg's own.
 */
import pg, { type Connection, type Submittable } from "pg";
import type { Queryable } from "./call.ts";
import { bindMessage, DESCRIBE, EXECUTE_AND_SYNC, parseMessage, send } from "./extended-message.ts";

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
    this.#bind = bindMessage(name, values.map(textOf));
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
    send(wire.stream, [
      ...(parsed === undefined ? [parseMessage(this.name, this.text)] : []),
      this.#bind,
      ...(columns.has(this.name) ? [] : [DESCRIBE]),
      EXECUTE_AND_SYNC,
    ]);
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

function textOf(value: Value): string | null {
  return value === null || value === undefined ? null : String(value);
}
