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

export type Level = "debug" | "info" | "warn" | "error";

/** What applies to a log applies to all its children. */
export interface AdjustableLog extends Log {
  /** From debug up, or again as it is set. */
  debugging(on: boolean): void;
  /** From this level up, where it is not debugging. */
  setLevel(level: Level): void;
}

/** JSON lines to `destination` (default standard output), from `level` up. */
export function createLog(
  fields: Readonly<Record<string, unknown>>,
  { level = "info", destination }: { level?: string; destination?: DestinationStream } = {},
): AdjustableLog {
  const options = { level: "debug", base: fields, formatters: { log: textualBigints } };
  const logger = destination === undefined ? pino(options) : pino(options, destination);
  const levelOf = (name: string) => logger.levels.values[name] ?? 0;
  const from = { level: levelOf(level) };
  let [set, isDebugging] = [level, false];
  const apply = () => {
    from.level = levelOf(isDebugging ? "debug" : set);
  };
  return {
    ...wrap(logger, from),
    debugging: (on) => {
      isDebugging = on;
      apply();
    },
    setLevel: (name) => {
      set = name;
      apply();
    },
  };
}

/** Children hear of a change too, which pino's own levels would not tell them. */
function wrap(logger: pino.Logger, from: { readonly level: number }): Log {
  const at = (level: Level) => {
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
