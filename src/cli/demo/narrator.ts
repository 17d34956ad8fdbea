/** What the demo tells: one line each, with the time since it was started. */
import type { Clock } from "../../clock/clock.ts";
import { print } from "../command.ts";
import { paint } from "../table.ts";

export interface Narrator {
  /** Seconds since the start, as printed. */
  elapsed(): string;
  /** One line about one node, or about the whole. */
  say(who: string, what: string): void;
}

export function narrator(clock: Clock): Narrator {
  const start = clock.now();
  const elapsed = () => `${((clock.now() - start) / 1000).toFixed(2)} s`;
  return {
    elapsed,
    say: (who, what) => print(`${paint("dim", elapsed().padStart(10))}  ${who.padEnd(7)} ${what}`),
  };
}

/** `1 node`, `3 nodes`. */
export function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}
