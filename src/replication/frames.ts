/** Cuts the byte stream of a session into frames: a type byte and a body, whatever the pieces it comes in. */
import { int32At } from "./bytes.ts";
import { ProtocolError } from "./errors.ts";

const HEADER_BYTES = 5;
/** PostgreSQL's own limit (PQ_LARGE_MESSAGE_LIMIT); a longer one means that we lost step. */
export const MAX_MESSAGE_BYTES = 0x3fffffff;

/** The body is what stands in `bytes` from `from` up to `end`: no object is made for a frame. */
export type OnFrame = (type: number, bytes: Buffer, from: number, end: number) => void;

/**
 * A frame that lies whole within one chunk is not copied; one that spans chunks is copied once.
 * Throws ProtocolError on a length that cannot be, or beyond `limitBytes`.
 */
export class FrameSplitter {
  /** The longest body that is accepted. */
  limitBytes: number;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerFilled = 0;
  #length = 0;
  #filled = 0;
  /** The body of a frame that spans chunks; memory that is not written to costs nothing. */
  #body = Buffer.alloc(0);

  constructor(limitBytes = MAX_MESSAGE_BYTES) {
    this.limitBytes = limitBytes;
  }

  /** Bytes of a frame that is not complete yet have arrived. */
  get midFrame(): boolean {
    return this.#headerFilled > 0;
  }

  push(chunk: Buffer, onFrame: OnFrame): void {
    let at = this.#headerFilled > 0 ? this.#resume(chunk, onFrame) : 0;
    while (chunk.length - at >= HEADER_BYTES) {
      const type = chunk[at] as number;
      const length = this.#checked(type, int32At(chunk, at + 1));
      const end = at + HEADER_BYTES + length;
      if (end > chunk.length) break;
      onFrame(type, chunk, at + HEADER_BYTES, end);
      at = end;
    }
    if (at < chunk.length) this.#keep(chunk, at);
  }

  #checked(type: number, announced: number): number {
    const length = announced - 4;
    if (length < 0 || length > this.limitBytes) {
      const name = JSON.stringify(String.fromCharCode(type));
      throw new ProtocolError(
        `message ${name} announces ${announced} bytes, at most ${this.limitBytes + 4} are accepted`,
      );
    }
    return length;
  }

  /** Go on with the frame that is not complete; answers how much of the chunk it took. */
  #resume(chunk: Buffer, onFrame: OnFrame): number {
    let at = this.#takeHeader(chunk, 0);
    if (this.#headerFilled < HEADER_BYTES) return at;
    at = this.#takeBody(chunk, at);
    if (this.#filled < this.#length) return at;
    const body = this.#body;
    this.#headerFilled = 0;
    this.#body = Buffer.alloc(0);
    onFrame(this.#header[0] as number, body, 0, body.length);
    return at;
  }

  /** The rest of a chunk: the beginning of a frame. */
  #keep(chunk: Buffer, from: number): void {
    const at = this.#takeHeader(chunk, from);
    if (this.#headerFilled === HEADER_BYTES) this.#takeBody(chunk, at);
  }

  #takeHeader(chunk: Buffer, from: number): number {
    const wanted = Math.min(HEADER_BYTES - this.#headerFilled, chunk.length - from);
    if (wanted === 0) return from;
    chunk.copy(this.#header, this.#headerFilled, from, from + wanted);
    this.#headerFilled += wanted;
    if (this.#headerFilled === HEADER_BYTES) {
      this.#length = this.#checked(this.#header[0] as number, int32At(this.#header, 1));
      this.#filled = 0;
      this.#body = Buffer.allocUnsafe(this.#length);
    }
    return from + wanted;
  }

  #takeBody(chunk: Buffer, from: number): number {
    const end = Math.min(from + this.#length - this.#filled, chunk.length);
    chunk.copy(this.#body, this.#filled, from, end);
    this.#filled += end - from;
    return end;
  }
}
