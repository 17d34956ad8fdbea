/**
 * Virtual time: one queue of events ordered by (time, seeded tiebreak), one event at a time, then microtasks
 * until idle.
 * Nothing real is waited for. Every process of the simulated cluster is a `Proc`: killed, its code never goes on;
 * paused, whatever is due to it waits.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { Random } from "./random.ts";

const realSetImmediate = globalThis.setImmediate;
const running = new AsyncLocalStorage<Proc>();

/** The process whose code runs now; undefined in the simulator's own code. */
export function currentProc(): Proc | undefined {
  return running.getStore();
}

interface Event {
  readonly at: number;
  readonly tie: number;
  readonly label: string;
  readonly run: () => void;
  readonly proc: Proc | undefined;
  cancelled: boolean;
}

export interface Handle {
  cancel(): void;
}

/** One operating system process: a worker, a control store, a data server, a client. */
export class Proc {
  readonly pid: number;
  readonly name: string;
  readonly node: number;
  dead = false;
  paused = false;
  /** Virtual milliseconds per real one, as this process's clock shows it. */
  rate = 1;
  /** Until then what waited for it to go on is still being worked off. */
  lateUntil = 0;
  readonly backlog: Event[] = [];
  readonly onDeath: (() => void)[] = [];

  constructor(pid: number, name: string, node: number) {
    this.pid = pid;
    this.name = name;
    this.node = node;
  }
}

export class Engine {
  now = 0;
  steps = 0;
  stopped = false;
  readonly random: (concern: string) => Random;
  #heap: Event[] = [];
  #nextPid = 100;
  #hash = 0x811c9dc5;
  #hash2 = 0x1b873593;
  readonly #ties: Random;
  readonly ring: string[] = [];
  /** Told of each event worth reading, when somebody wants to read. */
  onTrace: ((line: string) => void) | undefined;

  constructor(seed: number) {
    const concerns = new Map<string, Random>();
    this.random = (concern) => {
      let found = concerns.get(concern);
      if (found === undefined) {
        found = new Random(seed, concern);
        concerns.set(concern, found);
      }
      return found;
    };
    this.#ties = this.random("ties");
  }

  readonly #counters = new Map<string, number>();

  /** The next number of its kind in this world. */
  count(kind: string): number {
    const next = (this.#counters.get(kind) ?? 0) + 1;
    this.#counters.set(kind, next);
    return next;
  }

  spawn(name: string, node: number): Proc {
    this.#nextPid += 1;
    return new Proc(this.#nextPid, name, node);
  }

  /** Run `run` after `ms`, as `proc` when one is named: never once it is dead, later when it is paused. */
  after(ms: number, label: string, run: () => void, proc?: Proc): Handle {
    const event: Event = {
      at: this.now + (ms > 0 ? ms : 0),
      tie: this.#ties.next(),
      label,
      run,
      proc,
      cancelled: false,
    };
    this.#push(event);
    return {
      cancel: () => {
        event.cancelled = true;
      },
    };
  }

  /** Run `run` as `proc` at once, unless it is dead or paused. */
  deliver(proc: Proc, label: string, run: () => void): void {
    if (proc.dead) return;
    // Nothing overtakes what waited while it was paused.
    if (proc.paused || this.now < proc.lateUntil) {
      proc.lateUntil += 0.0001;
      this.after(proc.lateUntil - this.now, label, run, proc);
    } else running.run(proc, run);
  }

  /** A promise that resolves after `ms`; for the code of `proc` it never does once that is dead. */
  sleep(ms: number, label: string, proc = currentProc()): Promise<void> {
    return new Promise((resolve) => this.after(ms, label, resolve, proc));
  }

  as<T>(proc: Proc, run: () => T): T {
    return running.run(proc, run);
  }

  kill(proc: Proc): void {
    if (proc.dead) return;
    proc.dead = true;
    proc.backlog.length = 0;
    for (const tell of proc.onDeath.splice(0)) tell();
  }

  pause(proc: Proc): void {
    proc.paused = true;
  }

  resume(proc: Proc): void {
    if (!proc.paused) return;
    proc.paused = false;
    // In the order in which it was due.
    proc.lateUntil = this.now + (proc.backlog.length + 1) * 0.0001;
    proc.backlog.splice(0).forEach((event, place) => {
      this.#push({ ...event, at: this.now + place * 0.0001, tie: this.#ties.next() });
    });
  }

  /** Until this time, or until nothing is left or `stop` says so. */
  async runUntil(time: number, stop?: () => boolean): Promise<void> {
    await idle();
    for (;;) {
      const next = this.#heap[0];
      if (this.stopped || next === undefined || next.at > time || stop?.()) break;
      this.#pop();
      if (next.cancelled || next.proc?.dead) continue;
      if (next.at > this.now) this.now = next.at;
      if (next.proc?.paused) {
        next.proc.backlog.push(next);
        continue;
      }
      this.steps += 1;
      this.#mix(next.label, next.at);
      if (next.proc === undefined) next.run();
      else running.run(next.proc, next.run);
      await idle();
    }
    if (!this.stopped && this.now < time && !stop?.()) this.now = time;
  }

  /** One line of the trace; part of the hash. */
  trace(node: number | string, text: string): void {
    this.#mix(text, this.now);
    const line = `${this.now.toFixed(3).padStart(10)} ${typeof node === "number" ? `n${node}` : node} ${text}`;
    this.ring.push(line);
    if (this.ring.length > 400) this.ring.splice(0, 200);
    this.onTrace?.(line);
  }

  traceHash(): string {
    const hex = (value: number) => (value >>> 0).toString(16).padStart(8, "0");
    return hex(this.#hash) + hex(this.#hash2);
  }

  #mix(text: string, time: number): void {
    let a = this.#hash ^ Math.floor(time * 1000);
    for (let at = 0; at < text.length; at += 1) a = Math.imul(a ^ text.charCodeAt(at), 0x01000193);
    this.#hash = a;
    this.#hash2 = Math.imul(this.#hash2 ^ a, 0x85ebca6b) ^ (this.#hash2 >>> 13);
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = heap[up] as Event;
      if (!before(event, parent)) break;
      heap[at] = parent;
      at = up;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Event;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      if (down >= heap.length) break;
      const right = down + 1;
      if (right < heap.length && before(heap[right] as Event, heap[down] as Event)) down = right;
      const child = heap[down] as Event;
      if (!before(child, last)) break;
      heap[at] = child;
      at = down;
    }
    heap[at] = last;
  }
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.tie < b.tie);
}

/** Turns of the event loop are taken many at a time: asking the kernel between two steps takes longer than a step. */
const TURNS = 256;
let turnsLeft = 0;
let goOn: (() => void) | undefined;

/** Every microtask has run when this resolves, and a rejection that nobody handles was told. */
function idle(): Promise<void> {
  return new Promise((resolve) => {
    goOn = resolve;
    if (turnsLeft > 0) return;
    for (turnsLeft = 0; turnsLeft < TURNS; turnsLeft += 1) realSetImmediate(turn);
  });
}

function turn(): void {
  turnsLeft -= 1;
  const resume = goOn;
  goOn = undefined;
  resume?.();
}
