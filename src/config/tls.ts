/** TLS between members: which files, and how libpq is told of them. What a certificate must be: certificates.ts. */
import { join } from "node:path";

/** `offer`: servers take both, this node may dial plain · `use`: it dials TLS · `only`: members come in TLS alone. */
export const TLS_MODES = ["offer", "use", "only"] as const;
export type TlsMode = (typeof TLS_MODES)[number];

/** Files of a connection that checks the server's certificate and name, and may show one of its own. */
export interface TlsFiles {
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
}

/** The files that servers and connections use: the worker replaces them when it has checked the new ones. */
export function tlsFilesIn(dir: string): Required<TlsFiles> {
  const own = join(dir, "tls", "node.pem");
  return { ca: join(dir, "tls", "ca.pem"), cert: own, key: own };
}

/** With which files this node dials its peers; undefined: in plain text. */
export function dialTls(config: {
  readonly dir: string;
  readonly tls?: { readonly mode: TlsMode };
}): Required<TlsFiles> | undefined {
  const { tls, dir } = config;
  return tls === undefined || tls.mode === "offer" ? undefined : tlsFilesIn(dir);
}

/** The same for libpq, as words of a connection string. */
export function libpqTls(files: TlsFiles | undefined): Record<string, string> {
  if (files === undefined) return {};
  return {
    sslmode: "verify-full",
    sslrootcert: files.ca,
    ...(files.cert === undefined ? {} : { sslcert: files.cert }),
    ...(files.key === undefined ? {} : { sslkey: files.key }),
  };
}
