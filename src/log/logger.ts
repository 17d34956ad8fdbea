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

/** JSON lines to `destination` (default standard output), from `level` up. */
export function createLog(
  fields: Readonly<Record<string, unknown>>,
  { level = "info", destination }: { level?: string; destination?: DestinationStream } = {},
): Log {
  const options = { level, base: fields, formatters: { log: textualBigints } };
  return wrap(destination === undefined ? pino(options) : pino(options, destination));
}

function wrap(logger: pino.Logger): Log {
  return {
    debug: (fields, why) => logger.debug(fields, why),
    info: (fields, why) => logger.info(fields, why),
    warn: (fields, why) => logger.warn(fields, why),
    error: (fields, why) => logger.error(fields, why),
    child: (fields) => wrap(logger.child(textualBigints(fields))),
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
