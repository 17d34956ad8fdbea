/** Frames between socket and consumer: bounded in number and bytes; past a bound the socket is held back. */

export interface Valve {
  pause(): void;
  resume(): void;
}

export interface Bounds {
  readonly events: number;
  readonly bytes: number;
}

export class FrameBuffer {
  readonly #bounds: Bounds;
  #frames: Buffer[] = [];
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
    return this.#frames.length - this.#taken;
  }

  put(frame: Buffer): void {
    this.#frames.push(frame);
    this.#bytes += frame.length;
    if (this.#stalledSince !== undefined || !this.#isFull(1)) return;
    this.#stalledSince = performance.now();
    this.stallCount += 1;
    this.#valve?.pause();
  }

  take(): Buffer | undefined {
    const frame = this.#frames[this.#taken];
    if (frame === undefined) return undefined;
    this.#taken += 1;
    this.#bytes -= frame.length;
    if (this.#taken === this.#frames.length) {
      this.#frames = [];
      this.#taken = 0;
    } else if (this.#taken >= 1024) {
      this.#frames = this.#frames.slice(this.#taken);
      this.#taken = 0;
    }
    if (this.#stalledSince !== undefined && !this.#isFull(2)) this.#flow();
    return frame;
  }

  clear(): void {
    this.#frames = [];
    this.#taken = 0;
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
