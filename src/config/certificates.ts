/** A node's certificate: whether the files of `tls` are what its peers will believe, and they theirs. */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { isIP } from "node:net";
import { type NodeId, nodeRole } from "../core/ids.ts";
import type { Problem } from "./problems.ts";

/** Where the operator puts them. */
export interface TlsPaths {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** PEM texts that belong together. */
export interface TlsMaterial {
  readonly ca: string;
  /** The node's certificate, what leads from it to the authority, and its key: one text, so that it changes as one. */
  readonly own: string;
  readonly validTo: Date;
}

/** Whom a certificate must name. */
export interface TlsSubject {
  readonly nodeId: NodeId;
  /** Where members reach this node: configuration key and host. */
  readonly hosts: readonly (readonly [key: string, host: string])[];
}

/** Read and judge all three: every problem, or texts that go together. Expiry is none: see `validTo`. */
export async function readTls(
  paths: TlsPaths,
  subject: TlsSubject,
): Promise<{ readonly problems: readonly Problem[]; readonly material?: TlsMaterial }> {
  const problems: Problem[] = [];
  const read = async <T>(key: keyof TlsPaths, use: (text: string) => T): Promise<T | undefined> => {
    try {
      return use(await textOf(key, paths[key]));
    } catch (error) {
      if (!(error instanceof Wanted)) throw error;
      problems.push({ key: `tls.${key}`, value: paths[key], expected: error.message });
      return undefined;
    }
  };
  const ca = await read("ca", certificates);
  const chain = await read("cert", (text) => certificatesFor(text, subject, ca?.all));
  const key = await read("key", (text) => keyOf(text, chain?.leaf));
  if (problems.length > 0 || ca === undefined || chain === undefined || key === undefined) {
    return { problems };
  }
  const material = { ca: ca.pem, own: `${chain.pem}${key}`, validTo: chain.leaf.validToDate };
  return { problems, material };
}

/** What would have been right instead: the third part of a problem. */
class Wanted extends Error {
  override readonly name = "Wanted";
}

async function textOf(key: keyof TlsPaths, path: string): Promise<string> {
  try {
    const { mode } = await stat(path);
    if (key === "key" && (mode & 0o007) !== 0) {
      const octal = `0${(mode & 0o777).toString(8)}`;
      throw new Wanted(`a file that others cannot read: its mode is ${octal}, chmod 600 it`);
    }
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Wanted) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new Wanted(`a readable file: ${code === "ENOENT" ? "there is none" : message}`);
  }
}

interface Certificates {
  readonly leaf: X509Certificate;
  readonly all: readonly X509Certificate[];
  /** The same and nothing else: what stands between and around the blocks is left out. */
  readonly pem: string;
}

function certificates(text: string): Certificates {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    const all = blocks.map((block) => new X509Certificate(block));
    const [leaf] = all;
    if (leaf !== undefined) return { leaf, all, pem: blocks.map((block) => `${block}\n`).join("") };
  } catch (error) {
    throw new Wanted(`certificates in PEM: ${(error as Error).message}`);
  }
  throw new Wanted("a certificate in PEM: there is no block CERTIFICATE in it");
}

const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

function certificatesFor(
  text: string,
  { nodeId, hosts }: TlsSubject,
  authorities: readonly X509Certificate[] | undefined,
): Certificates {
  const found = certificates(text);
  const { leaf, all } = found;
  const name = commonName(leaf);
  const role = nodeRole(nodeId);
  if (name !== role) {
    throw new Wanted(
      `a certificate with CN=${role}, the role of node ${nodeId}: it has CN=${name}`,
    );
  }
  for (const [key, host] of hosts) {
    const fits = isIP(host) === 0 ? leaf.checkHost(host) : leaf.checkIP(host);
    if (fits !== undefined) continue;
    const named = leaf.subjectAltName ?? "no subjectAltName";
    throw new Wanted(`a certificate for ${host}, which is ${key}: it has ${named}`);
  }
  const uses = leaf.keyUsage as readonly string[] | undefined;
  if (uses !== undefined && !(uses.includes(SERVER_AUTH) && uses.includes(CLIENT_AUTH))) {
    throw new Wanted(
      "a certificate for servers and for clients: extendedKeyUsage names one of them",
    );
  }
  if (authorities !== undefined && !leadsTo(leaf, all.slice(1), authorities)) {
    throw new Wanted(
      `a certificate that leads to an authority in tls.ca: ${leaf.issuer.replaceAll("\n", ", ")} issued it`,
    );
  }
  return found;
}

/** From certificate to issuer, through those given with it, to an authority. */
function leadsTo(
  leaf: X509Certificate,
  given: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
): boolean {
  let at = leaf;
  for (let steps = 0; steps <= given.length + 1; steps += 1) {
    const issued = (by: X509Certificate) => at.checkIssued(by) && at.verify(by.publicKey);
    if (authorities.some((one) => one.raw.equals(at.raw) || issued(one))) return true;
    const next = given.find((one) => one !== at && issued(one));
    if (next === undefined) return false;
    at = next;
  }
  return false;
}

function commonName({ subject }: X509Certificate): string {
  const line = (subject ?? "").split("\n").find((one) => one.startsWith("CN="));
  return line === undefined ? "(none)" : line.slice(3);
}

function keyOf(text: string, leaf: X509Certificate | undefined): string {
  let key: KeyObject;
  try {
    key = createPrivateKey(text);
  } catch (error) {
    const { code } = error as { code?: string };
    const locked =
      code === "ERR_MISSING_PASSPHRASE" || /passphrase|ENCRYPTED/i.test(text.slice(0, 400));
    throw new Wanted(locked ? "a key without a passphrase" : "a private key in PEM");
  }
  if (leaf !== undefined && !leaf.checkPrivateKey(key)) {
    throw new Wanted("the private key of tls.cert: it is another certificate's");
  }
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}
