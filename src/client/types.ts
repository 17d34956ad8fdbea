/** What a value becomes: one table, text in, JavaScript out; nothing here ever throws for an OID it does not know. */
import { isoTimestamp, isoTimeWithZone } from "./timestamps.ts";

export type RowMode = "object" | "array" | "json";
export type Parse = (text: string) => unknown;
/** OID → what to make of a value. */
export type TypeParsers = Readonly<Record<number, Parse>>;

const string: Parse = (text) => text;
const number: Parse = (text) => Number(text);
const bytes = (text: string): Buffer => {
  if (text.startsWith("\\x")) return Buffer.from(text.slice(2), "hex");
  const plain = text.replace(/\\(\d{3}|\\)/g, (_, code: string) =>
    code === "\\" ? "\\" : String.fromCharCode(Number.parseInt(code, 8)),
  );
  return Buffer.from(plain, "latin1");
};
/** JSON knows no NaN and no infinity. */
const finite: Parse = (text) => (Number.isFinite(Number(text)) ? Number(text) : text);
const safe: Parse = (text) => (Number.isSafeInteger(Number(text)) ? Number(text) : text);
const JSON_VALUE: Parse = (text) => JSON.parse(text);

interface Type {
  readonly oid: number;
  /** Of its array. */
  readonly array: number;
  readonly parse: Parse;
  /** In rows that must be JSON; default: the same. */
  readonly json?: Parse;
}

const TYPES: readonly Type[] = [
  { oid: 16, array: 1000, parse: (text) => text === "t" }, // bool
  { oid: 17, array: 1001, parse: bytes, json: (text) => bytes(text).toString("base64") }, // bytea
  { oid: 20, array: 1016, parse: (text) => BigInt(text), json: safe }, // int8
  { oid: 21, array: 1005, parse: number }, // int2
  { oid: 23, array: 1007, parse: number }, // int4
  { oid: 26, array: 1028, parse: number }, // oid
  { oid: 700, array: 1021, parse: number, json: finite }, // float4
  { oid: 701, array: 1022, parse: number, json: finite }, // float8
  { oid: 114, array: 199, parse: JSON_VALUE }, // json
  { oid: 3802, array: 3807, parse: JSON_VALUE }, // jsonb
  { oid: 1082, array: 1182, parse: isoTimestamp }, // date
  { oid: 1114, array: 1115, parse: isoTimestamp }, // timestamp
  { oid: 1184, array: 1185, parse: isoTimestamp }, // timestamptz
  { oid: 1266, array: 1270, parse: isoTimeWithZone }, // timetz
];

/** Arrays of what stays text: money, numeric, uuid, text, varchar, bpchar, name, "char", xml, time, interval, … */
const TEXT_ARRAYS = [
  791, 1231, 2951, 1009, 1015, 1014, 1003, 1002, 143, 1183, 1187, 1041, 651, 1040, 775, 3643, 1561,
  1563, 3221,
];

/** `{1,NULL,"a\"b",{2}}`, also with bounds before it, to arrays. */
export function parseArray(text: string, parse: Parse): unknown[] {
  let at = text.startsWith("[") ? text.indexOf("=") + 1 : 0;
  const list = (): unknown[] => {
    const items: unknown[] = [];
    at += 1; // the opening brace
    while (at < text.length && text[at] !== "}") {
      if (text[at] === ",") at += 1;
      items.push(text[at] === "{" ? list() : item());
    }
    at += 1;
    return items;
  };
  const item = (): unknown => {
    if (text[at] !== '"') {
      const from = at;
      while (at < text.length && text[at] !== "," && text[at] !== "}") at += 1;
      const word = text.slice(from, at);
      return word === "NULL" ? null : parse(word);
    }
    let value = "";
    for (at += 1; at < text.length && text[at] !== '"'; at += 1) {
      if (text[at] === "\\") at += 1;
      value += text[at];
    }
    at += 1;
    return parse(value);
  };
  return text.slice(at) === "{}" ? [] : list();
}

/** What pg asks for each column of a result. */
export interface TypeMap {
  getTypeParser(oid: number, format?: string): Parse;
}

function tableOf(mode: "js" | "json", own: TypeParsers): Map<number, Parse> {
  const table = new Map<number, Parse>();
  for (const { oid, array, parse, json } of TYPES) {
    const scalar = own[oid] ?? (mode === "json" ? (json ?? parse) : parse);
    table.set(oid, scalar);
    table.set(array, (text) => parseArray(text, scalar));
  }
  for (const array of TEXT_ARRAYS) table.set(array, (text) => parseArray(text, string));
  for (const [oid, parse] of Object.entries(own)) table.set(Number(oid), parse);
  return table;
}

/** The two maps of a pool: for JavaScript and for JSON. */
export function typeMaps(own: TypeParsers = {}): Readonly<Record<RowMode, TypeMap>> {
  const mapOf = (table: Map<number, Parse>): TypeMap => ({
    getTypeParser: (oid) => table.get(oid) ?? string,
  });
  const js = mapOf(tableOf("js", own));
  return { object: js, array: js, json: mapOf(tableOf("json", own)) };
}
