/** What the demo tells: one line each, with the time since it was started. */
import type { Clock } from "../../clock/clock.ts";
import { print } from "../command.ts";
import { paint } from "../table.ts";

export interface Narrator {
  /** One line about one node, or about the whole; about something that happened `agoMs` ago. */
  say(who: string, what: string, agoMs?: number): void;
}

export function narrator(clock: Clock): Narrator {
  const start = clock.now();
  return {
    say(who, what, agoMs = 0) {
      const seconds = Math.max(0, clock.now() - agoMs - start) / 1000;
      const time = `${seconds.toFixed(2)} s`.padStart(10);
      print(`${paint("dim", time)}  ${who.padEnd(7)} ${what}`);
    },
  };
}

/** `1 node`, `3 nodes`. */
export function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}
