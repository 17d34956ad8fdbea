/** TLS as libpq's sslmode means it: what to demand of a server, from files or PEM texts. */
import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { type ConnectionOptions, createSecureContext } from "node:tls";

export type TlsMode = "disable" | "prefer" | "require" | "verify-ca" | "verify-full";

/** PEM texts, or paths of files that hold them. */
export interface TlsConfig {
  /**
   * `prefer`: plain text only when the server says no · `require`: encrypted, the certificate checked only if `ca` is
   * given · `verify-ca`: and the certificate · `verify-full`: and the host's name in it.
   */
  readonly mode: TlsMode;
  /** Whom to believe; default: the runtime's root store. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  /** PKCS#8 (also encrypted), PKCS#1 or SEC1. */
  readonly key?: string | undefined;
  readonly passphrase?: string | undefined;
  /** Instead of the host, for SNI and for the check of the name. */
  readonly serverName?: string | undefined;
  /** Default `TLSv1.2`. */
  readonly minVersion?: "TLSv1.2" | "TLSv1.3" | undefined;
  /** `direct`: TLS from the first byte on (PostgreSQL 17 and newer). Default `postgres`. */
  readonly negotiation?: "postgres" | "direct" | undefined;
}

/** What a connection needs to know. */
export interface TlsPlan {
  /** False: go on in plain text when the server says no. */
  readonly required: boolean;
  readonly direct: boolean;
  readonly options: ConnectionOptions;
}

/** Wrong before anything was dialled: which field, and what it should be. */
export class TlsConfigError extends Error {
  override readonly name = "TlsConfigError";
}

/** Read and check what the mode asks for; undefined: no TLS. Throws TlsConfigError naming field and file. */
export async function planTls(tls: TlsConfig, host: string): Promise<TlsPlan | undefined> {
  // As libpq does it: a unix socket never leaves the machine.
  if (tls.mode === "disable" || host.startsWith("/")) return undefined;
  if ((tls.cert === undefined) !== (tls.key === undefined)) {
    throw new TlsConfigError("tls.cert and tls.key belong together: give both or neither");
  }
  const { minVersion = "TLSv1.2", negotiation = "postgres" } = tls;
  const checksChain =
    tls.mode === "verify-ca" || tls.mode === "verify-full" || tls.ca !== undefined;
  const name = tls.serverName ?? host;
  const options: ConnectionOptions = {
    ...(await material(tls)),
    minVersion,
    rejectUnauthorized: tls.mode !== "prefer" && checksChain,
    ...(isIP(name) === 0 ? { servername: name } : {}),
    ...(tls.mode === "verify-full" ? nameCheck(name) : { checkServerIdentity: () => undefined }),
    ...(negotiation === "direct" ? { ALPNProtocols: ["postgresql"] } : {}),
  };
  return { required: tls.mode !== "prefer", direct: negotiation === "direct", options };
}

/** Node checks the name it dialled; over a socket that is connected already it would not know it. */
function nameCheck(name: string): ConnectionOptions {
  return { host: name };
}

async function material(tls: TlsConfig): Promise<ConnectionOptions> {
  const ca = tls.ca === undefined ? undefined : await pem("tls.ca", tls.ca);
  const cert = tls.cert === undefined ? undefined : await pem("tls.cert", tls.cert);
  const key = tls.key === undefined ? undefined : await pem("tls.key", tls.key);
  if (ca !== undefined) check("tls.ca", tls.ca, () => new X509Certificate(ca));
  if (cert !== undefined) check("tls.cert", tls.cert, () => new X509Certificate(cert));
  const own = { ...(cert && { cert }), ...(key && { key }), passphrase: tls.passphrase };
  if (key !== undefined) check("tls.key", tls.key, () => createSecureContext(own));
  return { ...(ca && { ca }), ...(key === undefined ? {} : own) };
}

async function pem(field: string, given: string): Promise<string> {
  if (given.includes("-----BEGIN")) return given;
  const text = await readFile(given, "utf8").catch((cause: Error) => {
    throw new TlsConfigError(`${field}: cannot read ${given}: ${cause.message}`, { cause });
  });
  if (text.includes("-----BEGIN")) return text;
  const problem = text.trim() === "" ? "is empty" : "holds no PEM block";
  throw new TlsConfigError(`${field}: ${given} ${problem}`);
}

function check(field: string, given: string | undefined, use: () => unknown): void {
  try {
    use();
  } catch (cause) {
    const where = given?.includes("-----BEGIN") ? "the PEM text given" : given;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new TlsConfigError(`${field}: ${where} is not usable: ${why}`, { cause });
  }
}
