/** TLS of pg's connections: read once, and again when the files were replaced. */
import { readFile, stat } from "node:fs/promises";
import { createSecureContext, type SecureContext } from "node:tls";
import type { TlsFiles } from "../config/tls.ts";

interface Kept {
  readonly version: string;
  readonly context: SecureContext;
}

const kept = new Map<string, Kept>();

/**
 * As libpq's verify-full: the certificate and the host's name in it are checked, and our own is shown where there is
 * one. What pg takes as `ssl`; a unix socket never leaves the machine, and has none.
 */
export async function sslFor(host: string, files: TlsFiles | undefined): Promise<object | false> {
  if (files === undefined || host.startsWith("/")) return false;
  return { secureContext: await contextOf(files), rejectUnauthorized: true };
}

async function contextOf({ ca, cert, key }: TlsFiles): Promise<SecureContext> {
  const paths = [ca, ...(cert === undefined ? [] : [cert]), ...(key === undefined ? [] : [key])];
  const name = paths.join("\0");
  const version = (await Promise.all(paths.map(versionOf))).join(" ");
  const known = kept.get(name);
  if (known?.version === version) return known.context;
  const [caText, certText, keyText] = await Promise.all(
    [ca, cert, key].map((path) => (path === undefined ? undefined : readFile(path))),
  );
  const context = createSecureContext({
    ca: caText,
    ...(certText === undefined ? {} : { cert: certText }),
    ...(keyText === undefined ? {} : { key: keyText }),
    minVersion: "TLSv1.2",
  });
  kept.set(name, { version, context });
  return context;
}

/** Another text whenever the file became another. */
async function versionOf(path: string): Promise<string> {
  const { ino, size, ctimeNs } = await stat(path, { bigint: true });
  return `${ino}:${size}:${ctimeNs}`;
}

/** Verdicts of OpenSSL on a certificate, and what Node says of a handshake. */
const TLS_CODES =
  /^(ERR_TLS_|ERR_SSL_|EPROTO$|CERT_|CRL_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|INVALID_(CA|PURPOSE)$)/;

/** Somebody speaks there, and TLS came to nothing: not who he should be, or does not take us for a member. */
export function isTlsRefusal(error: unknown): boolean {
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
  if (typeof code === "string") return TLS_CODES.test(code);
  // What pg says without a code.
  return /does not support SSL|establishing an SSL connection/.test(String(message));
}
