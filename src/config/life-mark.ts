/** The mark of a control store's life, as it stands in a file beside the data directory (H56). */
import { z } from "zod";
import { asJson } from "./json.ts";

const number = z.coerce.bigint();
const LifeMark = z.object({ incarnation: z.uuid(), term: number, pledge: number, commit: number });
export type LifeMark = Readonly<z.infer<typeof LifeMark>>;

/** Undefined for what is no mark: it was written by nobody here, and says nothing. */
export function parseLifeMark(text: string): LifeMark | undefined {
  const parsed = LifeMark.safeParse(asJson(text));
  return parsed.success ? parsed.data : undefined;
}
