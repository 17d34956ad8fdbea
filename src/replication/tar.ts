/** Reads a tar archive (ustar, GNU long names) as it streams by, without any I/O. */
import { ProtocolError } from "./errors.ts";

export interface TarEntry {
  readonly kind: "file" | "directory" | "symlink";
  /** As written, without a trailing slash; not checked for `..`. */
  readonly path: string;
  /** Permission bits only. */
  readonly mode: number;
  /** Bytes of content; 0 unless a file. */
  readonly size: number;
  /** Where a symlink leads, else empty. */
  readonly target: string;
}

/** A file is `entry`, any number of `data`, `end`; a directory or symlink is one `entry`. */
export type TarEvent =
  | { readonly kind: "entry"; readonly entry: TarEntry }
  | { readonly kind: "data"; readonly bytes: Uint8Array }
  | { readonly kind: "end" };

const BLOCK_BYTES = 512;
/** A GNU long name is a path; more would be no path of any file system. */
const MAX_NAME_BYTES = 16 * 1024;

type Type = TarEntry["kind"] | "long_name" | "long_target";
const TYPES: Readonly<Record<string, Type>> = {
  "0": "file",
  "\0": "file",
  "2": "symlink",
  "5": "directory",
  L: "long_name",
  K: "long_target",
};

/**
 * Cuts archive bytes into entries; chunks may end anywhere, and data shares their memory.
 *
 * Throws ProtocolError on a header that is none, and on types that no data directory holds.
 */
export class TarReader {
  #block = Buffer.alloc(BLOCK_BYTES);
  #filled = 0;
  #content = 0;
  #padding = 0;
  #inFile = false;
  #ended = false;
  #long: { type: "long_name" | "long_target"; parts: Uint8Array[] } | undefined;
  #longName: string | undefined;
  #longTarget: string | undefined;

  *push(chunk: Uint8Array): Generator<TarEvent, void, undefined> {
    let at = 0;
    while (at < chunk.length) {
      const left = chunk.length - at;
      if (this.#content > 0) {
        const taken = Math.min(this.#content, left);
        yield* this.#takeContent(chunk.subarray(at, at + taken));
        at += taken;
      } else if (this.#padding > 0) {
        const taken = Math.min(this.#padding, left);
        this.#padding -= taken;
        at += taken;
      } else {
        const taken = Math.min(BLOCK_BYTES - this.#filled, left);
        this.#block.set(chunk.subarray(at, at + taken), this.#filled);
        this.#filled += taken;
        at += taken;
        if (this.#filled === BLOCK_BYTES) yield* this.#takeHeader();
      }
    }
  }

  /** The archive is over. PostgreSQL's end without the two zero blocks counts as an end too. */
  finish(): void {
    if (this.#content > 0 || this.#padding > 0 || this.#filled > 0 || this.#long !== undefined) {
      throw new ProtocolError("the archive ends in the middle of an entry");
    }
  }

  *#takeContent(bytes: Uint8Array): Generator<TarEvent, void, undefined> {
    this.#content -= bytes.length;
    if (this.#long !== undefined) {
      this.#long.parts.push(bytes);
      if (this.#content === 0) this.#finishLong(this.#long);
      return;
    }
    yield { kind: "data", bytes };
    if (this.#content === 0) yield* this.#endFile();
  }

  *#endFile(): Generator<TarEvent, void, undefined> {
    if (this.#inFile) yield { kind: "end" };
    this.#inFile = false;
  }

  #finishLong({ type, parts }: { type: "long_name" | "long_target"; parts: Uint8Array[] }): void {
    const text = fieldText(Buffer.concat(parts));
    if (type === "long_name") this.#longName = text;
    else this.#longTarget = text;
    this.#long = undefined;
  }

  *#takeHeader(): Generator<TarEvent, void, undefined> {
    const block = this.#block;
    this.#filled = 0;
    if (isZero(block)) {
      this.#ended = true;
      return;
    }
    if (this.#ended) throw new ProtocolError("the archive goes on after its end");
    checkSum(block);
    const type = TYPES[String.fromCharCode(block[156] ?? 0)];
    if (type === undefined) {
      throw new ProtocolError(`tar entry ${nameOf(block)}: type ${block[156]} is not supported`);
    }
    const size = number(block.subarray(124, 136));
    if (type === "long_name" || type === "long_target") return this.#beginLong(type, size);
    yield* this.#beginEntry(type, size);
  }

  #beginLong(type: "long_name" | "long_target", size: number): void {
    if (size === 0 || size > MAX_NAME_BYTES) throw new ProtocolError(`a tar name of ${size} bytes`);
    this.#long = { type, parts: [] };
    this.#expect(size);
  }

  *#beginEntry(kind: TarEntry["kind"], size: number): Generator<TarEvent, void, undefined> {
    const block = this.#block;
    const entry: TarEntry = {
      kind,
      path: (this.#longName ?? nameOf(block)).replace(/\/+$/, ""),
      mode: number(block.subarray(100, 108)) & 0o7777,
      size: kind === "file" ? size : 0,
      target: kind === "symlink" ? (this.#longTarget ?? fieldText(block.subarray(157, 257))) : "",
    };
    this.#longName = undefined;
    this.#longTarget = undefined;
    this.#expect(entry.size);
    yield { kind: "entry", entry };
    if (kind !== "file") return;
    this.#inFile = true;
    if (entry.size === 0) yield* this.#endFile();
  }

  #expect(size: number): void {
    this.#content = size;
    this.#padding = (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES;
  }
}

function isZero(block: Uint8Array): boolean {
  return block.every((byte) => byte === 0);
}

/** ustar splits a long path in two: a prefix, and the name. GNU tar uses the prefix otherwise. */
function nameOf(block: Buffer): string {
  const name = fieldText(block.subarray(0, 100));
  const isUstar = block.toString("latin1", 257, 263) === "ustar\0";
  const prefix = isUstar ? fieldText(block.subarray(345, 500)) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

function fieldText(field: Buffer): string {
  const end = field.indexOf(0);
  return field.toString("utf8", 0, end === -1 ? field.length : end);
}

/** Octal text; or, with the first bit set, big-endian base 256 (sizes of 8 GB and more). */
function number(field: Uint8Array): number {
  const first = field[0] ?? 0;
  if ((first & 0x80) !== 0) {
    const value = field.subarray(1).reduce((sum, byte) => sum * 256 + byte, first & 0x7f);
    if (Number.isSafeInteger(value)) return value;
    throw new ProtocolError("a tar header holds a number past 2^53");
  }
  const text = Buffer.from(field).toString("latin1").replaceAll("\0", " ").trim();
  if (!/^[0-7]*$/.test(text))
    throw new ProtocolError(`tar header: ${JSON.stringify(text)} is no number`);
  return text === "" ? 0 : Number.parseInt(text, 8);
}

/** The sum of all bytes, the sum's own field counted as spaces. */
function checkSum(block: Buffer): void {
  const stored = number(block.subarray(148, 156));
  const sum = block.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0);
  if (sum !== stored) throw new ProtocolError("not a tar header: its check sum is wrong");
}
