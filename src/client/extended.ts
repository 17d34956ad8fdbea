/**
 * One statement in pg's extended protocol, as pg wants it handed in: prepared once per connection, described once, its
 * rows parsed as they come. Always one statement: the simple protocol would take several.
 */
import type pg from "pg";
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
  fields?: readonly pg.FieldDef[];
}

export interface Outcome {
  readonly rows: unknown[];
  readonly rowCount: number | null;
  readonly fields: readonly pg.FieldDef[];
  readonly command: string;
}

/** What pg's connection can do. */
interface Wired {
  readonly stream: { cork(): void; uncork(): void };
  readonly parsedStatements: Record<string, string>;
  parse(message: { readonly name: string; readonly text: string }): void;
  bind(message: {
    readonly portal: "";
    readonly statement: string;
    readonly values: readonly Wire[];
  }): void;
  describe(message: { readonly type: "P"; readonly name: "" }): void;
  execute(message: { readonly portal: "" }): void;
  sync(): void;
  sendCopyFail(why: string): void;
}

/** `INSERT 0 1`, `SELECT 5`, `CREATE TABLE`. */
const TAG = /^([A-Z][A-Z ]*?)(?: (?:\d+ )?(\d+))?$/;

export class Extended {
  readonly text: string;
  readonly #statement: Statement;
  readonly #prepared: Prepared | undefined;
  readonly #settle: (error: unknown, outcome?: Outcome) => void;
  #fields: readonly pg.FieldDef[] = [];
  #parsers: Parse[] = [];
  #blank: Record<string, unknown> = {};
  readonly #rows: unknown[] = [];
  #command = "";
  #rowCount: number | null = null;
  /** A parser's own failure, told when the server is done. */
  #failed: { readonly error: unknown } | undefined;

  constructor(
    statement: Statement,
    prepared: Prepared | undefined,
    settle: (error: unknown, outcome?: Outcome) => void,
  ) {
    this.text = statement.text;
    this.#statement = statement;
    this.#prepared = prepared;
    this.#settle = settle;
    if (prepared?.fields !== undefined) this.#expect(prepared.fields);
  }

  /** pg keeps track of what was parsed by this. */
  get name(): string | undefined {
    return this.#prepared?.name;
  }

  submit(connection: unknown): null {
    const to = connection as Wired;
    const name = this.#prepared?.name ?? "";
    const isParsed = name !== "" && to.parsedStatements[name] !== undefined;
    to.stream.cork();
    if (!isParsed) to.parse({ name, text: this.text });
    to.bind({ portal: "", statement: name, values: this.#statement.values });
    if (!isParsed || this.#prepared?.fields === undefined) to.describe({ type: "P", name: "" });
    to.execute({ portal: "" });
    to.sync();
    to.stream.uncork();
    return null;
  }

  #expect(fields: readonly pg.FieldDef[]): void {
    this.#fields = fields;
    this.#parsers = fields.map(({ dataTypeID }) => this.#statement.types.getTypeParser(dataTypeID));
    // Rows of one shape are made from one that has it.
    if (!this.#statement.array)
      this.#blank = Object.fromEntries(fields.map(({ name }) => [name, null]));
  }

  handleRowDescription({ fields }: { readonly fields: pg.FieldDef[] }): void {
    this.#expect(fields);
  }

  handleDataRow({ fields: values }: { readonly fields: readonly (string | null)[] }): void {
    if (this.#failed !== undefined) return;
    try {
      this.#rows.push(this.#statement.array ? this.#list(values) : this.#object(values));
    } catch (error) {
      this.#failed = { error };
    }
  }

  #value(value: string | null, at: number): unknown {
    const parse = this.#parsers[at];
    return value === null || parse === undefined ? value : parse(value);
  }

  #list(values: readonly (string | null)[]): unknown[] {
    return values.map((value, at) => this.#value(value, at));
  }

  #object(values: readonly (string | null)[]): Record<string, unknown> {
    const row = { ...this.#blank };
    for (let at = 0; at < values.length; at += 1) {
      row[this.#fields[at]?.name ?? ""] = this.#value(values[at] ?? null, at);
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
    this.#failed = { error: new Error("the server suspended a portal that asked for all rows") };
  }

  handleCopyInResponse(connection: unknown): void {
    const to = connection as Wired;
    to.sendCopyFail("COPY FROM STDIN has nothing to read from here");
    to.sync(); // the first one was ignored: it came in the middle of COPY
  }

  handleCopyData(): void {
    this.#failed ??= { error: new Error("COPY TO STDOUT has nowhere to write to here") };
  }

  handleReadyForQuery(): void {
    if (this.#failed !== undefined) {
      this.#settle(this.#failed.error);
      return;
    }
    if (this.#prepared !== undefined) this.#prepared.fields = this.#fields;
    this.#settle(undefined, {
      rows: this.#rows,
      rowCount: this.#rowCount,
      fields: this.#fields,
      command: this.#command,
    });
  }

  handleError(error: unknown): void {
    this.#settle(this.#failed?.error ?? error);
  }
}
