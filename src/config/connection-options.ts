/** What options of every connection have in common, wherever a program names a server: checked alike, told alike. */
import { z } from "zod";

export const ms = z.int().min(1).max(2_147_483_647);
export const count = z.int().min(1);
export const port = z.int().min(1).max(65535);
export const name = z
  .string()
  .min(1)
  .refine((text) => !text.includes("\0"), "must not hold a zero byte");
export const callback = z.custom<never>(
  (value) => typeof value === "function",
  "must be a function",
);

export const Tls = z.strictObject({
  mode: z.enum(["disable", "prefer", "require", "verify-ca", "verify-full"]),
  ca: z.string().optional(),
  cert: z.string().optional(),
  key: z.string().optional(),
  passphrase: z.string().optional(),
  serverName: z.string().optional(),
  minVersion: z.enum(["TLSv1.2", "TLSv1.3"]).optional(),
  negotiation: z.enum(["postgres", "direct"]).optional(),
});

/** Every field that is wrong, and how; `whole` names what has no field. Never a value: it may be a secret. */
export function wrongFields(error: z.ZodError, whole: string): string {
  return error.issues
    .map(({ path, message }) => `${path.join(".") || whole}: ${message}`)
    .join("; ");
}

/** A password, or who is asked for it at every connect. */
export function passwordOf(
  given: string | (() => Promise<string>) | undefined,
): (() => Promise<string>) | undefined {
  return typeof given === "string" ? async () => given : given;
}
