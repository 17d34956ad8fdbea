/** Rows as pgoutput sends them: a column count, then each value as null, unchanged, text or binary. */
import { ProtocolError } from "../replication/errors.ts";
import type { Cursor } from "./cursor.ts";
import { type Relation, type Row, UNCHANGED } from "./events.ts";

/** Makes a value of its text, or of its binary form; by the type's OID. */
export type TypeParsers = Readonly<Record<number, (value: string | Buffer) => unknown>>;

const NULL = 0x6e;
const UNCHANGED_TOAST = 0x75;
const TEXT = 0x74;
const BINARY = 0x62;

type Parse = ((value: string | Buffer) => unknown) | undefined;

type MakeRow = (values: RowReader, cursor: Cursor) => Row;

/**
 * Reads all columns in order, and leaves out those without a name. The row is written out as a literal: that costs a
 * tenth of putting in value after value under names known only now, and all rows of a table have one shape.
 */
function rowMaker(names: readonly (string | undefined)[]): MakeRow {
  const reads = names.map((_, index) => `const v${index} = values.value(cursor, ${index});`);
  const fields = names.flatMap((name, index) =>
    name === undefined ? [] : `${key(name)}: v${index}`,
  );
  try {
    return new Function("values", "cursor", `${reads.join("")} return {${fields}}`) as MakeRow;
  } catch (error) {
    // Node.js was told --disallow-code-generation-from-strings.
    if (!(error instanceof EvalError)) throw error;
    return (values, cursor) => {
      const all = names.map((name, index) => [name, values.value(cursor, index)] as const);
      return Object.fromEntries(all.filter(([name]) => name !== undefined));
    };
  }
}

/** A column called `__proto__` must not become a prototype: in brackets it is a name like any other. */
const key = (name: string) => (name === "__proto__" ? '["__proto__"]' : JSON.stringify(name));

/** How the rows of one relation are read: worked out once, used for each row. */
export class RowReader {
  readonly relation: Relation;
  readonly #parse: readonly Parse[];
  readonly #anyParser: boolean;
  readonly #whole: MakeRow;
  readonly #keyOnly: MakeRow;

  constructor(relation: Relation, types: TypeParsers) {
    this.relation = relation;
    this.#parse = relation.columns.map(({ typeId }) => types[typeId]);
    this.#anyParser = this.#parse.some((parse) => parse !== undefined);
    this.#whole = rowMaker(relation.columns.map(({ name }) => name));
    this.#keyOnly = rowMaker(relation.columns.map(({ name, key }) => (key ? name : undefined)));
  }

  /** The whole row. */
  row(cursor: Cursor): Row {
    this.#expectCount(cursor);
    return this.#whole(this, cursor);
  }

  /** Of an old row only the replica identity is sent; the other columns say null and mean nothing. */
  key(cursor: Cursor): Row {
    this.#expectCount(cursor);
    return this.#keyOnly(this, cursor);
  }

  #expectCount(cursor: Cursor): void {
    const count = cursor.int16();
    const { schema, table, columns } = this.relation;
    if (count === columns.length) return;
    throw new ProtocolError(
      `a row of ${schema}.${table} has ${count} columns, the table ${columns.length}`,
    );
  }

  /** The next value of the row. */
  value(cursor: Cursor, index: number): unknown {
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
