/** What every command shares: its shape, its arguments, its configuration. */
import { type ParseArgsConfig, parseArgs } from "node:util";
import { loadConfig } from "../config/load.ts";
import type { Config } from "../config/schema.ts";

export interface Command {
  /** Printed by `--help`; the first line is the usage. */
  readonly help: string;
  /** Returns the exit code: 0, or 1 when the answer itself is bad news. Throws what goes wrong. */
  run(args: readonly string[]): Promise<number>;
}

/** The command line itself is wrong: exit 2. `message` is `key: value: expectation`. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Something is not as it must be, and the message says it all: exit 1, no stack. */
export class CommandFailed extends Error {
  override readonly name = "CommandFailed";
}

type Options = NonNullable<ParseArgsConfig["options"]>;
type Parsed<T extends Options> = ReturnType<
  typeof parseArgs<{ args: string[]; options: T; strict: true; allowPositionals: true }>
>;

/** Strict: unknown options and more than `positionals` words are usage errors. */
export function parseCommand<const T extends Options>(
  args: readonly string[],
  options: T,
  positionals = 0,
): Parsed<T> {
  const parsed = parseStrictly(args, options);
  const extra = parsed.positionals[positionals];
  if (extra === undefined) return parsed;
  const most = positionals === 0 ? "no words here" : `at most ${positionals} word here`;
  throw new UsageError(`argument: ${extra}: expected ${most}`);
}

function parseStrictly<const T extends Options>(args: readonly string[], options: T): Parsed<T> {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: true });
  } catch (error) {
    throw new UsageError(usageProblem(error, options), { cause: error });
  }
}

/** Node's own sentences, in our form. */
function usageProblem(error: unknown, options: Options): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const [, option = "option"] = /'(?:-\w, )?(--?[\w-]+)/.exec(message) ?? [];
  if (code === "ERR_PARSE_ARGS_UNKNOWN_OPTION") {
    const known = Object.keys(options).map((name) => `--${name}`);
    const expected = known.length === 0 ? "no options" : `one of ${known.join(", ")}`;
    return `${option}: unknown option: expected ${expected}`;
  }
  if (code === "ERR_PARSE_ARGS_INVALID_OPTION_VALUE") {
    const takesText = options[option.replace(/^-+/, "")]?.type === "string";
    return `${option}: ${takesText ? "missing: expected a value" : "expected no value"}`;
  }
  return message;
}

/** A whole number within bounds, or a usage error that names option and value. */
export function wholeNumber(
  option: string,
  text: string,
  { from, to }: { readonly from: number; readonly to: number },
): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= from && value <= to) return value;
  throw new UsageError(`${option}: ${text}: expected a whole number, ${from} to ${to}`);
}

/** `--config FILE`; without it node.yaml in the current folder. */
export function configOf(path: string | undefined): Promise<Config> {
  return loadConfig(path ?? "node.yaml");
}

export const CONFIG_HELP = "  --config FILE   the node's configuration (default: ./node.yaml)";

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
