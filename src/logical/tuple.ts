/** Rows as pgoutput sends them: a column count, then each value as null, unchanged, text or binary. */
import { ProtocolError } from "../replication/errors.ts";
import type { Cursor } from "./cursor.ts";
import { type Column, type Relation, type Row, UNCHANGED } from "./events.ts";

/** Makes a value of its text, or of its binary form; by the type's OID. */
export type TypeParsers = Readonly<Record<number, (value: string | Buffer) => unknown>>;

const NULL = 0x6e;
const UNCHANGED_TOAST = 0x75;
const TEXT = 0x74;
const BINARY = 0x62;

type Parse = ((value: string | Buffer) => unknown) | undefined;

/** How the rows of one relation are read: worked out once, used for each row. */
export class RowReader {
  readonly relation: Relation;
  readonly #names: readonly string[];
  readonly #parse: readonly Parse[];
  readonly #anyParser: boolean;
  /** A column called `__proto__` must not become a prototype. */
  readonly #plain: boolean;

  constructor(relation: Relation, types: TypeParsers) {
    this.relation = relation;
    this.#names = relation.columns.map(({ name }) => name);
    this.#parse = relation.columns.map(({ typeId }) => types[typeId]);
    this.#anyParser = this.#parse.some((parse) => parse !== undefined);
    this.#plain = !this.#names.includes("__proto__");
  }

  /** The whole row. */
  row(cursor: Cursor): Row {
    const count = this.#count(cursor);
    const row: Record<string, unknown> = {};
    for (let index = 0; index < count; index += 1)
      this.#put(row, index, this.#value(cursor, index));
    return row;
  }

  /** Of an old row only the replica identity is sent; the other columns say null and mean nothing. */
  key(cursor: Cursor): Row {
    const count = this.#count(cursor);
    const row: Record<string, unknown> = {};
    for (let index = 0; index < count; index += 1) {
      const value = this.#value(cursor, index);
      if ((this.relation.columns[index] as Column).key) this.#put(row, index, value);
    }
    return row;
  }

  #count(cursor: Cursor): number {
    const count = cursor.int16();
    if (count === this.#names.length) return count;
    const { schema, table } = this.relation;
    throw new ProtocolError(
      `a row of ${schema}.${table} has ${count} columns, the table ${this.#names.length}`,
    );
  }

  #put(row: Record<string, unknown>, index: number, value: unknown): void {
    const name = this.#names[index] as string;
    if (this.#plain) row[name] = value;
    else
      Object.defineProperty(row, name, {
        value,
        enumerable: true,
        configurable: true,
        writable: true,
      });
  }

  #value(cursor: Cursor, index: number): unknown {
    const format = cursor.byte();
    if (format === TEXT) {
      const text = cursor.text(cursor.int32());
      return this.#anyParser ? this.#parsed(index, text) : text;
    }
    if (format === NULL) return null;
    if (format === UNCHANGED_TOAST) return UNCHANGED;
    if (format === BINARY) return this.#parsed(index, cursor.slice(cursor.int32()));
    throw new ProtocolError(`unknown form ${format} of a value`);
  }

  #parsed(index: number, value: string | Buffer): unknown {
    const parse = this.#parse[index];
    return parse === undefined ? value : parse(value);
  }
}
