/** The `tls-server-end-point` channel binding (RFC 5929): the certificate's hash, by its own signature's algorithm. */
import { createHash } from "node:crypto";
import type { PeerCertificate, TLSSocket } from "node:tls";
import { LoginError } from "./errors.ts";

const SEQUENCE = 0x30;
const OID = 0x06;

/** Signature algorithms whose hash is fixed, by object identifier in hex. MD5 and SHA-1 count as SHA-256. */
const HASHES: Readonly<Record<string, string>> = {
  "2a864886f70d010104": "sha256", // md5WithRSAEncryption
  "2a864886f70d010105": "sha256", // sha1WithRSAEncryption
  "2a864886f70d01010b": "sha256",
  "2a864886f70d01010c": "sha384",
  "2a864886f70d01010d": "sha512",
  "2a864886f70d01010e": "sha224",
  "2a8648ce3d0401": "sha256", // ecdsa-with-SHA1
  "2a8648ce3d040301": "sha224",
  "2a8648ce3d040302": "sha256",
  "2a8648ce3d040303": "sha384",
  "2a8648ce3d040304": "sha512",
};
const RSA_PSS = "2a864886f70d01010a";
const PSS_HASHES: Readonly<Record<string, string>> = {
  "608648016503040201": "sha256",
  "608648016503040202": "sha384",
  "608648016503040203": "sha512",
};

/** What both sides hash; undefined when the connection is not encrypted. */
export function channelBindingOf(socket: unknown): (() => Buffer) | undefined {
  const tls = socket as Partial<TLSSocket>;
  if (tls.encrypted !== true || tls.getPeerCertificate === undefined) return undefined;
  return () => endPoint((tls.getPeerCertificate?.() as PeerCertificate | undefined)?.raw);
}

/** Exported for its tests: the hash of a certificate in DER. */
export function endPoint(der: Buffer | undefined): Buffer {
  if (der === undefined) throw new LoginError("channel binding: the server sent no certificate");
  return createHash(hashOf(der)).update(der).digest();
}

function hashOf(der: Buffer): string {
  const certificate = element(der, 0, SEQUENCE);
  const toBeSigned = element(der, certificate.start, SEQUENCE);
  const algorithm = element(der, toBeSigned.end, SEQUENCE);
  const oid = element(der, algorithm.start, OID);
  const name = der.toString("hex", oid.start, oid.end);
  const hash = name === RSA_PSS ? pssHash(der, oid.end) : HASHES[name];
  if (hash === undefined) {
    throw new LoginError(`channel binding: unknown signature algorithm ${name} of the certificate`);
  }
  return hash;
}

/** RSASSA-PSS-params ::= SEQUENCE { [0] hashAlgorithm … }; left out it is SHA-1, which counts as SHA-256. */
function pssHash(der: Buffer, at: number): string | undefined {
  const parameters = element(der, at, SEQUENCE);
  if (parameters.start === parameters.end || der[parameters.start] !== 0xa0) return "sha256";
  const tagged = element(der, parameters.start, 0xa0);
  const oid = element(der, element(der, tagged.start, SEQUENCE).start, OID);
  return PSS_HASHES[der.toString("hex", oid.start, oid.end)];
}

function element(der: Buffer, at: number, tag: number): { start: number; end: number } {
  const first = der[at + 1] ?? 0;
  const sizeBytes = first < 0x80 ? 0 : first & 0x7f;
  if (der[at] !== tag || sizeBytes > 4 || at + 2 + sizeBytes > der.length) {
    throw new LoginError("channel binding: the server's certificate is malformed");
  }
  const length = sizeBytes === 0 ? first : der.readUIntBE(at + 2, sizeBytes);
  const start = at + 2 + sizeBytes;
  if (start + length > der.length) {
    throw new LoginError("channel binding: the server's certificate is malformed");
  }
  return { start, end: start + length };
}
