/** What a parameter becomes on the wire: text, bytes or null. SQL text is never built from values. */
import { MOST_PARAMETERS } from "../db/extended-message.ts";
import { ClientError } from "./errors.ts";

export type Wire = string | Buffer | null;

class Json {
  readonly text: string;
  constructor(value: unknown) {
    this.text = JSON.stringify(value);
  }
}

/** For a json column whose value is an array or a string: those would go as a PostgreSQL array, or as they are. */
export const json = (value: unknown): unknown => new Json(value);

const quoted = (text: string) => `"${text.replace(/\\/g, "\\\\").replace(/"/g, '\\"')}"`;

function element(value: unknown, where: string): string {
  if (value === null) return "NULL";
  if (Array.isArray(value)) return arrayText(value, where);
  const wire = encode(value, where);
  return wire === null
    ? "NULL"
    : quoted(typeof wire === "string" ? wire : `\\x${wire.toString("hex")}`);
}

const arrayText = (values: readonly unknown[], where: string): string =>
  `{${values.map((value) => element(value, where)).join(",")}}`;

/** One value; throws CONFIG naming the parameter when there is no form for it. */
export function encode(value: unknown, where: string): Wire {
  switch (typeof value) {
    case "string":
      return value;
    case "number":
    case "bigint":
      return String(value);
    case "boolean":
      return value ? "t" : "f";
    case "object":
      return encodeObject(value, where);
    default:
      throw new ClientError("CONFIG", `${where}: ${typeof value} is no value of SQL; null is`);
  }
}

function encodeObject(value: object | null, where: string): Wire {
  if (value === null || Buffer.isBuffer(value)) return value;
  if (value instanceof Json) return value.text;
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.length);
  if (Array.isArray(value)) return arrayText(value, where);
  if (!(value instanceof Date)) return JSON.stringify(value);
  if (!Number.isNaN(value.getTime())) return dateText(value);
  throw new ClientError("CONFIG", `${where}: an invalid Date`);
}

/** PostgreSQL knows no year 0 and no signs: 1 BC is `0001-… BC`. */
function dateText(date: Date): string {
  const iso = date.toISOString();
  const year = date.getUTCFullYear();
  const rest = iso.slice(iso.indexOf("-", 1));
  if (year > 0) return `${`${year}`.padStart(4, "0")}${rest}`;
  return `${`${1 - year}`.padStart(4, "0")}${rest.replace("Z", "+00")} BC`;
}

export function encodeAll(params: readonly unknown[] | undefined): Wire[] {
  const given = params ?? [];
  if (given.length > MOST_PARAMETERS) {
    const why = `${given.length} parameters: a statement takes ${MOST_PARAMETERS} at most`;
    throw new ClientError("CONFIG", why);
  }
  return given.map((value, index) => encode(value, `parameter $${index + 1}`));
}

/** An identifier, quoted. */
export const identifier = (name: string): string => `"${name.replace(/"/g, '""')}"`;

/** `schema.table`, each part quoted. */
export const qualified = (name: string): string => name.split(".").map(identifier).join(".");

/** One row, its values as parameters; a duplicate of `conflict`, if it names columns, is no error. */
export function insertText(
  table: string,
  columns: readonly string[],
  conflict: readonly string[],
): string {
  if (columns.length === 0) throw new ClientError("CONFIG", "insert: a row needs a column");
  const names = columns.map(identifier).join(", ");
  const places = columns.map((_, index) => `$${index + 1}`).join(", ");
  const unless =
    conflict.length === 0 ? "" : ` on conflict (${conflict.map(identifier).join(", ")}) do nothing`;
  return `insert into ${qualified(table)} (${names}) values (${places})${unless} returning *`;
}
