/**
 * One statement in pg's extended protocol, as pg wants it handed in: prepared once per connection, described once, its
 * rows parsed as they come. Always one statement: the simple protocol would take several.
 */
import type { Socket } from "node:net";
import type pg from "pg";
import {
  bindMessage,
  DESCRIBE,
  EXECUTE_AND_SYNC,
  parseMessage,
  send,
} from "../db/extended-message.ts";
import { ClientError, messageOf } from "./errors.ts";
import type { Wire } from "./params.ts";
import type { Parse, TypeMap } from "./types.ts";

export interface Statement {
  readonly text: string;
  readonly values: readonly Wire[];
  readonly types: TypeMap;
  readonly array: boolean;
}

/** Known of a statement that is prepared on a connection. */
export interface Prepared {
  readonly name: string;
  /** Its columns never change while it is prepared: the server refuses instead. */
  shape?: Shape;
}

/** What rows are made with. */
interface Shape {
  readonly fields: readonly pg.FieldDef[];
  readonly types: TypeMap;
  readonly parsers: readonly Parse[];
  /** Rows of one shape are made from one that has it. */
  readonly blank: Readonly<Record<string, unknown>>;
}

function shapeOf(fields: readonly pg.FieldDef[], types: TypeMap): Shape {
  const parsers = fields.map(({ dataTypeID }) => types.getTypeParser(dataTypeID));
  return {
    fields,
    types,
    parsers,
    blank: Object.fromEntries(fields.map(({ name }) => [name, null])),
  };
}

export interface Outcome {
  readonly rows: unknown[];
  readonly rowCount: number | null;
  readonly fields: readonly pg.FieldDef[];
  readonly command: string;
}

/** What pg's connection can do. */
interface Wired {
  readonly stream: Socket;
  readonly parsedStatements: Record<string, string>;
  sync(): void;
  sendCopyFail(why: string): void;
}

const NO_COLUMNS = shapeOf([], { getTypeParser: () => String });

/** The server has done it: this is no failure of the statement, and nothing to try again for. */
const unreadable = (why: string, cause?: unknown) => new ClientError("UNREADABLE", why, { cause });

/** `INSERT 0 1`, `SELECT 5`, `CREATE TABLE`. */
const TAG = /^([A-Z][A-Z ]*?)(?: (?:\d+ )?(\d+))?$/;

export class Extended {
  readonly text: string;
  readonly #statement: Statement;
  readonly #prepared: Prepared | undefined;
  readonly #settle: (error: unknown, outcome?: Outcome) => void;
  #shape: Shape | undefined;
  readonly #rows: unknown[] = [];
  #command = "";
  #rowCount: number | null = null;
  /** Why what comes is no result; told when the server is done. */
  #unreadable: ClientError | undefined;

  constructor(
    statement: Statement,
    prepared: Prepared | undefined,
    settle: (error: unknown, outcome?: Outcome) => void,
  ) {
    this.text = statement.text;
    this.#statement = statement;
    this.#prepared = prepared;
    this.#settle = settle;
    const shape = prepared?.shape;
    if (shape === undefined) return;
    this.#shape = shape.types === statement.types ? shape : shapeOf(shape.fields, statement.types);
  }

  /** pg keeps track of what was parsed by this. */
  get name(): string | undefined {
    return this.#prepared?.name;
  }

  /** What pg is given back it tells `handleError`; what is thrown here would leave its connection waiting for ever. */
  submit(connection: unknown): Error | null {
    try {
      this.#send(connection as Wired);
      return null;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  #send(to: Wired): void {
    const name = this.#prepared?.name ?? "";
    const isParsed = name !== "" && to.parsedStatements[name] !== undefined;
    const bind = bindMessage(name, this.#statement.values);
    const isDescribed = isParsed && this.#prepared?.shape !== undefined;
    if (isDescribed) send(to.stream, [bind, EXECUTE_AND_SYNC]);
    else {
      const parse = isParsed ? [] : [parseMessage(name, this.text)];
      send(to.stream, [...parse, bind, DESCRIBE, EXECUTE_AND_SYNC]);
    }
  }

  handleRowDescription({ fields }: { readonly fields: pg.FieldDef[] }): void {
    this.#shape = shapeOf(fields, this.#statement.types);
  }

  handleDataRow({ fields: values }: { readonly fields: readonly (string | null)[] }): void {
    if (this.#unreadable !== undefined) return;
    try {
      this.#rows.push(this.#statement.array ? this.#list(values) : this.#object(values));
    } catch (error) {
      this.#unreadable = unreadable(messageOf(error), error);
    }
  }

  #value(value: string | null, at: number): unknown {
    const parse = this.#shape?.parsers[at];
    return value === null || parse === undefined ? value : parse(value);
  }

  #list(values: readonly (string | null)[]): unknown[] {
    return values.map((value, at) => this.#value(value, at));
  }

  #object(values: readonly (string | null)[]): Record<string, unknown> {
    const row: Record<string, unknown> = { ...this.#shape?.blank };
    for (let at = 0; at < values.length; at += 1) {
      row[this.#shape?.fields[at]?.name ?? ""] = this.#value(values[at] ?? null, at);
    }
    return row;
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    const [, command = text, count] = TAG.exec(text) ?? [];
    this.#command = command;
    this.#rowCount = count === undefined ? null : Number(count);
  }

  handleEmptyQuery(): void {
    this.#command = "";
  }

  handlePortalSuspended(): void {
    this.#unreadable = unreadable("the server suspended a portal that asked for all rows");
  }

  handleCopyInResponse(connection: unknown): void {
    const to = connection as Wired;
    to.sendCopyFail("COPY FROM STDIN has nothing to read from here");
    to.sync(); // the first one was ignored: it came in the middle of COPY
  }

  handleCopyData(): void {
    this.#unreadable ??= unreadable("COPY TO STDOUT has nowhere to write to here");
  }

  handleReadyForQuery(): void {
    if (this.#unreadable !== undefined) {
      this.#settle(this.#unreadable);
      return;
    }
    if (this.#prepared !== undefined) this.#prepared.shape = this.#shape ?? NO_COLUMNS;
    this.#settle(undefined, {
      rows: this.#rows,
      rowCount: this.#rowCount,
      fields: this.#shape?.fields ?? [],
      command: this.#command,
    });
  }

  handleError(error: unknown): void {
    this.#settle(error);
  }
}
