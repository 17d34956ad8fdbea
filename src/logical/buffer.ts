/** Frames between socket and consumer: bounded in number and bytes; past a bound the socket is held back. */

import type { Cursor } from "./cursor.ts";

export interface Valve {
  pause(): void;
  resume(): void;
}

export interface Bounds {
  readonly events: number;
  readonly bytes: number;
}

/** In a slot whose frame was taken. */
const NOTHING = Buffer.alloc(0);

export class FrameBuffer {
  readonly #bounds: Bounds;
  /** Of each frame the bytes it came in, and where it stands in them. */
  #bytesOf: Buffer[] = [];
  #from: number[] = [];
  #end: number[] = [];
  #taken = 0;
  #bytes = 0;
  #valve: Valve | undefined;
  #stalledSince: number | undefined;
  stallCount = 0;
  stallMicrosTotal = 0;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
  }

  /** The socket of the session that fills it now. */
  attach(valve: Valve): void {
    this.#valve = valve;
    if (this.#stalledSince !== undefined) valve.pause();
  }

  get length(): number {
    return this.#bytesOf.length - this.#taken;
  }

  put(bytes: Buffer, from: number, end: number): void {
    this.#bytesOf.push(bytes);
    this.#from.push(from);
    this.#end.push(end);
    this.#bytes += end - from;
    if (this.#stalledSince !== undefined || !this.#isFull(1)) return;
    this.#stalledSince = performance.now();
    this.stallCount += 1;
    this.#valve?.pause();
  }

  /** Sets `cursor` on the next frame; false: there is none. */
  take(cursor: Cursor): boolean {
    const bytes = this.#bytesOf[this.#taken];
    if (bytes === undefined) return false;
    const [from, end] = [this.#from[this.#taken] as number, this.#end[this.#taken] as number];
    cursor.begin(bytes, from, end);
    // Without it the slot would hold the frame until it is used again, which a slow consumer never gets to.
    this.#bytesOf[this.#taken] = NOTHING;
    this.#taken += 1;
    this.#bytes -= end - from;
    if (this.#taken === this.#bytesOf.length) this.#keepFrom(Number.POSITIVE_INFINITY);
    else if (this.#taken >= 1024) this.#keepFrom(this.#taken);
    if (this.#stalledSince !== undefined && !this.#isFull(2)) this.#flow();
    return true;
  }

  #keepFrom(index: number): void {
    this.#bytesOf = this.#bytesOf.slice(index);
    this.#from = this.#from.slice(index);
    this.#end = this.#end.slice(index);
    this.#taken = 0;
  }

  clear(): void {
    this.#keepFrom(Number.POSITIVE_INFINITY);
    this.#bytes = 0;
    this.#flow();
  }

  #isFull(part: number): boolean {
    return this.length >= this.#bounds.events / part || this.#bytes >= this.#bounds.bytes / part;
  }

  #flow(): void {
    if (this.#stalledSince === undefined) return;
    this.stallMicrosTotal += Math.round((performance.now() - this.#stalledSince) * 1000);
    this.#stalledSince = undefined;
    this.#valve?.resume();
  }
}
