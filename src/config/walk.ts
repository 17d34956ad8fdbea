/** The schema's keys, read from zod's own description of it. */
import type { z } from "zod";

type Schema = z.core.$ZodType;

interface Def {
  readonly type: string;
  readonly innerType?: Schema;
  readonly element?: Schema;
  readonly shape?: Readonly<Record<string, Schema>>;
}

export interface Leaf {
  readonly path: readonly string[];
  /** zod's name: string, number, enum, array, record… */
  readonly kind: string;
}

/** Every key that holds a value, not a section. */
export function leaves(schema: Schema, path: readonly string[] = []): Leaf[] {
  const def = bare(schema);
  if (def.shape === undefined) return [{ path, kind: def.type }];
  return Object.entries(def.shape).flatMap(([key, inner]) => leaves(inner, [...path, key]));
}

/** The keys a section may have; none when `path` leads to no section. */
export function keysOf(schema: Schema, path: readonly PropertyKey[]): string[] {
  const def = bare(schema);
  const [head, ...rest] = path;
  if (head === undefined) return Object.keys(def.shape ?? {});
  const inner = typeof head === "number" ? def.element : def.shape?.[String(head)];
  return inner === undefined ? [] : keysOf(inner, rest);
}

/** Without optional, default and prefault around it. */
function bare(schema: Schema): Def {
  const def = schema._zod.def as Def;
  return def.innerType === undefined ? def : bare(def.innerType);
}
