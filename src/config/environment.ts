/** Overrides from the environment: `PG_REPLICA_DATA_PORT=7433` stands for `data.port: 7433`. */
import { parse } from "yaml";
import type { Problem } from "./problems.ts";
import { ConfigFile } from "./schema.ts";
import { type Leaf, leaves } from "./walk.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

const PREFIX = "PG_REPLICA_";
/** Ours, but no keys of the file. */
const NOT_KEYS = new Set(["PG_REPLICA_DEBUG"]);

/** Every variable that stands for a key, with its path. */
export const VARIABLES: ReadonlyMap<string, Leaf> = new Map(
  leaves(ConfigFile, []).map((leaf) => [`${PREFIX}${leaf.path.join("_").toUpperCase()}`, leaf]),
);

/** Lay the environment's values over `file` (which is not changed). Unknown variables are problems. */
export function override(
  file: Readonly<Record<string, unknown>>,
  env: Environment,
): { readonly input: Record<string, unknown>; readonly from: ReadonlyMap<string, string> } & {
  readonly problems: readonly Problem[];
} {
  const input = structuredClone(file) as Record<string, unknown>;
  const from = new Map<string, string>();
  const problems: Problem[] = [];
  const ours = Object.entries(env).filter(([key]) => key.startsWith(PREFIX) && !NOT_KEYS.has(key));
  for (const [variable, text] of ours) {
    const leaf = VARIABLES.get(variable);
    if (text === undefined) continue;
    if (leaf === undefined) {
      problems.push(unknownVariable(variable));
      continue;
    }
    put(input, leaf.path, readValue(leaf.kind, text));
    from.set(leaf.path.join("."), `environment, ${variable}`);
  }
  return { input, from, problems };
}

function unknownVariable(variable: string): Problem {
  const section = `${variable.split("_").slice(0, 3).join("_")}_`;
  const near = [...VARIABLES.keys()].filter((known) => known.startsWith(section));
  const known = near.length === 0 ? [...VARIABLES.keys()] : near;
  const expected = `one of ${known.join(", ")}`;
  return { key: variable, found: "unknown variable", expected, from: "environment" };
}

/** Text where text is wanted; numbers, lists and maps are read as YAML, and judged by the schema. */
function readValue(kind: string, text: string): unknown {
  if (kind === "string" || kind === "enum") return text;
  try {
    return parse(text);
  } catch {
    return text; // not YAML: the schema says what was expected instead
  }
}

function put(input: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [head = "", ...rest] = path;
  if (rest.length === 0) {
    input[head] = value;
    return;
  }
  const below = input[head];
  const section = typeof below === "object" && below !== null ? below : {};
  input[head] = section;
  put(section as Record<string, unknown>, rest, value);
}
