/** Log lines are events: one per change of state, with a name from the closed list in `events.ts`. */
import { type DestinationStream, pino } from "pino";
import type { EventName } from "./events.ts";

/** Fields every line may carry. LSNs and 64-bit numbers are text (a JSON reader rounds past 2^53). */
export interface LogFields {
  readonly event: EventName;
  readonly [field: string]: unknown;
}

export interface Log {
  debug(fields: LogFields, why: string): void;
  info(fields: LogFields, why: string): void;
  warn(fields: LogFields, why: string): void;
  error(fields: LogFields, why: string): void;
  /** A logger whose every line carries `fields` too. */
  child(fields: Readonly<Record<string, unknown>>): Log;
}

export interface AdjustableLog extends Log {
  /** From debug up, or again as it was made: this log and all its children. */
  debugging(on: boolean): void;
}

/** JSON lines to `destination` (default standard output), from `level` up. */
export function createLog(
  fields: Readonly<Record<string, unknown>>,
  { level = "info", destination }: { level?: string; destination?: DestinationStream } = {},
): AdjustableLog {
  const options = { level: "debug", base: fields, formatters: { log: textualBigints } };
  const logger = destination === undefined ? pino(options) : pino(options, destination);
  const from = { level: logger.levels.values[level] ?? 0 };
  return {
    ...wrap(logger, from),
    debugging: (on) => {
      from.level = logger.levels.values[on ? "debug" : level] ?? 0;
    },
  };
}

/** Children hear of a change too, which pino's own levels would not tell them. */
function wrap(logger: pino.Logger, from: { readonly level: number }): Log {
  const at = (level: "debug" | "info" | "warn" | "error") => {
    const own = logger.levels.values[level] ?? 0;
    return (fields: LogFields, why: string) => {
      if (own >= from.level) logger[level](fields, why);
    };
  };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: (fields) => wrap(logger.child(textualBigints(fields)), from),
  };
}

function textualBigints(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [
      key,
      typeof value === "bigint" ? value.toString() : value,
    ]),
  );
}

/** For tests and short commands: every line goes nowhere. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLog,
};
