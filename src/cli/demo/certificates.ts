/** A throw-away authority and the certificates it issues (RFC 5280), for a demo: no program is needed for it. */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { isIP } from "node:net";
import * as der from "./der.ts";

/** PEM texts. */
export interface Issued {
  readonly cert: string;
  readonly key: string;
}

export interface Subject {
  readonly commonName: string;
  /** Names and addresses of version 4, as members dial them. */
  readonly hosts: readonly string[];
  /** Default: a year from now. */
  readonly validTo?: Date;
}

export interface Authority {
  /** Its own certificate: what everybody is told to believe. */
  readonly cert: string;
  issue(subject: Subject): Issued;
}

const DAY_MS = 24 * 3600_000;
const ECDSA_WITH_SHA256 = der.sequence(der.oid("1.2.840.10045.4.3.2"));

/** Its key is never written: what is to be issued is issued while it lives. */
export function createAuthority(commonName: string): Authority {
  const keys = newKeys();
  const self = { commonName, hosts: [] };
  const cert = certify(self, keys.publicKey, { commonName, ...keys }, "authority");
  return {
    cert,
    issue(subject) {
      const own = newKeys();
      return {
        cert: certify(subject, own.publicKey, { commonName, ...keys }, "node"),
        key: own.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
      };
    },
  };
}

function newKeys() {
  return generateKeyPairSync("ec", { namedCurve: "prime256v1" });
}

interface Issuer {
  readonly commonName: string;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

function certify(
  subject: Subject,
  publicKey: KeyObject,
  issuer: Issuer,
  kind: "authority" | "node",
): string {
  const now = Date.now();
  const validTo = subject.validTo ?? new Date(now + 365 * DAY_MS);
  const serial = randomBytes(16);
  serial.writeUInt8((serial.readUInt8(0) & 0x7f) | 0x40, 0);
  const wish = der.sequence(
    der.explicit(0, der.integer(Buffer.from([2]))), // version 3
    der.integer(serial),
    ECDSA_WITH_SHA256,
    nameOf(issuer.commonName),
    der.sequence(der.time(new Date(Math.min(now, validTo.getTime()) - DAY_MS)), der.time(validTo)),
    nameOf(subject.commonName),
    spki(publicKey),
    der.explicit(3, der.sequence(...extensions(subject, publicKey, issuer, kind))),
  );
  const signature = sign("sha256", wish, issuer.privateKey);
  return pem(der.sequence(wish, ECDSA_WITH_SHA256, der.bits(signature)));
}

function nameOf(commonName: string): Buffer {
  return der.sequence(der.set(der.sequence(der.oid("2.5.4.3"), der.utf8(commonName))));
}

function spki(publicKey: KeyObject): Buffer {
  return publicKey.export({ type: "spki", format: "der" });
}

/** Which of several authorities of one name has issued it is told by the key's hash. */
function keyId(publicKey: KeyObject): Buffer {
  return createHash("sha1").update(spki(publicKey)).digest();
}

function extensions(
  { hosts }: Subject,
  publicKey: KeyObject,
  issuer: Issuer,
  kind: "authority" | "node",
): Buffer[] {
  const subjectKey = extension("2.5.29.14", der.octets(keyId(publicKey)));
  const issuerKey = extension("2.5.29.35", der.sequence(der.implicit(0, keyId(issuer.publicKey))));
  if (kind === "authority") {
    // keyCertSign and cRLSign.
    const usage = extension("2.5.29.15", der.bits(Buffer.from([0x06]), 1), der.yes);
    return [extension("2.5.29.19", der.sequence(der.yes), der.yes), usage, subjectKey, issuerKey];
  }
  const names = hosts.map((host) =>
    isIP(host) === 0
      ? der.implicit(2, Buffer.from(host, "latin1"))
      : der.implicit(7, Buffer.from(host.split(".").map(Number))),
  );
  const uses = ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"].map(der.oid); // server, client
  return [
    extension("2.5.29.19", der.sequence(), der.yes),
    extension("2.5.29.15", der.bits(Buffer.from([0x80]), 7), der.yes), // digitalSignature
    extension("2.5.29.37", der.sequence(...uses)),
    extension("2.5.29.17", der.sequence(...names)),
    subjectKey,
    issuerKey,
  ];
}

function extension(id: string, value: Buffer, critical?: Buffer): Buffer {
  return der.sequence(der.oid(id), ...(critical ? [critical] : []), der.octets(value));
}

function pem(bytes: Buffer): string {
  const lines = bytes.toString("base64").match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}
