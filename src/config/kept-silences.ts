/** Failovers that silence caused, as a worker leaves them to the next one on its node (H47). */
import { z } from "zod";
import { asJson } from "./json.ts";

const KeptSilences = z.object({
  cluster_id: z.uuid(),
  /** The newest epoch that is counted here. */
  newest: z.coerce.bigint(),
  nodes: z.array(
    z.object({
      node_id: z.int(),
      count: z.int().positive(),
      /** The last time, in milliseconds since the machine started. */
      boot_ms: z.number().nonnegative(),
    }),
  ),
});
export type KeptSilences = Readonly<z.infer<typeof KeptSilences>>;

/** Undefined for what is nothing of the kind, as half a file: it says nothing. */
export function parseSilences(text: string): KeptSilences | undefined {
  const parsed = KeptSilences.safeParse(asJson(text));
  return parsed.success ? parsed.data : undefined;
}

export function silencesText({ cluster_id, newest, nodes }: KeptSilences): string {
  return `${JSON.stringify({ cluster_id, newest: `${newest}`, nodes })}\n`;
}

/**
 * How long ago it was, in milliseconds, or less: if the machine has started since, nobody knows for how long it was
 * off, and it was before the start. A hold may so last longer than it should, and never shorter.
 */
export function agoMs(bootMs: number, nowMs: number): number {
  return nowMs >= bootMs ? nowMs - bootMs : nowMs;
}
