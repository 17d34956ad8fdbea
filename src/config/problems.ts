/** What is wrong with a configuration: key, value, expectation; all of it at once. */
import type { z } from "zod";
import { ConfigFile } from "./schema.ts";
import { keysOf } from "./walk.ts";

export interface Problem {
  /** Dotted, as in `data.port` or `peers.2.name`. */
  readonly key: string;
  /** Left out when the key is missing or its value may be a secret. */
  readonly value?: unknown;
  /** Said in the value's place: missing, unknown key. */
  readonly found?: string;
  readonly expected: string;
  /** Where the value came from, when that is not the file: an environment variable, a secret's file. */
  readonly from?: string;
}

/** A configuration that cannot be used. `message` has one line per problem: `key: value: expected …`. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly file: string;
  readonly problems: readonly Problem[];
  constructor(file: string, problems: readonly Problem[]) {
    super(problems.map((problem) => line(problem, file)).join("\n"));
    this.file = file;
    this.problems = problems;
  }
}

function line({ key, value, found, expected, from }: Problem, file: string): string {
  const shown = found ?? (value === undefined ? undefined : printable(value));
  const middle = shown === undefined ? "" : `${shown}: `;
  return `${key}: ${middle}expected ${expected} (in ${from ?? file})`;
}

/** Text that YAML would read as something else is quoted; what is inside lists and sections is not shown. */
function printable(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "object" && value !== null) return "a section";
  const ambiguous = typeof value === "string" && !Number.isNaN(Number(value));
  const text = ambiguous ? JSON.stringify(value) : String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** Keys whose values are never printed, wherever they stand. */
const SECRET = /password(?!_file)|secret|conninfo|passphrase/i;

/** zod's issues as problems; `input` is what was parsed. */
export function problemsOf(error: z.ZodError, input: unknown): Problem[] {
  return error.issues.flatMap((issue) => {
    const key = issue.path.map(String).join(".");
    if (issue.code === "unrecognized_keys") return unknownKeys(issue.path, issue.keys);
    const value = valueAt(input, issue.path);
    if (value === undefined) return [{ key, found: "missing", expected: issue.message }];
    if (key === "") return [{ key: "file", expected: issue.message }];
    if (SECRET.test(key)) return [{ key, expected: issue.message }];
    return [{ key, value, expected: issue.message }];
  });
}

/** The value of a key nobody knows may be a password in the wrong place: it is not shown. */
function unknownKeys(section: readonly PropertyKey[], keys: readonly string[]): Problem[] {
  const expected = `one of ${keysOf(ConfigFile, section).join(", ")}`;
  return keys.map((key) => ({
    key: [...section, key].map(String).join("."),
    found: "unknown key",
    expected,
  }));
}

export function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === "object" && value !== null
        ? (value as Record<PropertyKey, unknown>)[key]
        : undefined,
    input,
  );
}
