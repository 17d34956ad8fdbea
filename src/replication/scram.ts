/** The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677) and of md5: texts in, texts out. */
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { LoginError } from "./errors.ts";

const derive = promisify(pbkdf2);

/** We bind to no TLS channel and say so: base64 of it is repeated in the final message. */
const GS2_HEADER = "n,,";
const KEY_BYTES = 32;
/** A server may ask for any number; past this one the login would hold a thread for seconds. */
const MAX_ITERATIONS = 1_000_000;

export const MECHANISM = "SCRAM-SHA-256";

export interface ScramStart {
  /** The client-first message. */
  readonly first: string;
  /** Answer the server-first message. Throws LoginError when it is not one. */
  answer(serverFirst: string): Promise<ScramEnd>;
}

export interface ScramEnd {
  /** The client-final message, which proves that we know the password. */
  readonly final: string;
  /** Throws LoginError unless the server proves that it knows the password's verifier. */
  verify(serverFinal: string): void;
}

/** Begin an exchange. The user stays empty: PostgreSQL takes the one of the startup message. */
export function startScram(password: string, nonce = newNonce()): ScramStart {
  const bare = `n=,r=${nonce}`;
  return {
    first: `${GS2_HEADER}${bare}`,
    answer: (serverFirst) => answer(serverFirst, { bare, nonce, password: saslPrep(password) }),
  };
}

const newNonce = (): string => randomBytes(18).toString("base64");

interface Exchange {
  readonly bare: string;
  readonly nonce: string;
  readonly password: string;
}

async function answer(serverFirst: string, { bare, nonce, password }: Exchange): Promise<ScramEnd> {
  const { fullNonce, salt, iterations } = parseServerFirst(serverFirst);
  if (!fullNonce.startsWith(nonce) || fullNonce.length === nonce.length) {
    throw new LoginError("SCRAM: the server did not extend our nonce");
  }
  const salted = await derive(password, salt, iterations, KEY_BYTES, "sha256");
  const clientKey = hmac(salted, "Client Key");
  const withoutProof = `c=${Buffer.from(GS2_HEADER).toString("base64")},r=${fullNonce}`;
  const signed = `${bare},${serverFirst},${withoutProof}`;
  const signature = hmac(createHash("sha256").update(clientKey).digest(), signed);
  const proof = Buffer.from(clientKey.map((byte, index) => byte ^ (signature[index] ?? 0)));
  const expected = hmac(hmac(salted, "Server Key"), signed);
  return {
    final: `${withoutProof},p=${proof.toString("base64")}`,
    verify: (serverFinal) => verify(serverFinal, expected),
  };
}

function parseServerFirst(text: string) {
  const match = /^r=([!-+\--~]+),s=([A-Za-z0-9+/]+={0,2}),i=([1-9][0-9]{0,9})(?:,|$)/.exec(text);
  if (match === null) throw new LoginError("SCRAM: the server's first message is malformed");
  const [, fullNonce = "", salt = "", count = ""] = match;
  const iterations = Number(count);
  if (iterations > MAX_ITERATIONS) {
    throw new LoginError(`SCRAM: ${iterations} iterations asked for, at most ${MAX_ITERATIONS}`);
  }
  return { fullNonce, salt: Buffer.from(salt, "base64"), iterations };
}

function verify(serverFinal: string, expected: Buffer): void {
  const given = Buffer.from(
    /^v=([A-Za-z0-9+/]+={0,2})(?:,|$)/.exec(serverFinal)?.[1] ?? "",
    "base64",
  );
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw new LoginError("SCRAM: the server could not prove that it knows our password");
  }
}

const hmac = (key: Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest();

const SPACES = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/gu;
const MAPPED_TO_NOTHING =
  /\u034f|\u200d|[\u00ad\u1806\u200c\u2060\ufeff]|[\u180b-\u180d]|[\ufe00-\ufe0f]/gu;
const PROHIBITED =
  /[\u0340\u0341\p{Cc}\p{Co}\p{Cs}\p{Cn}\u06dd\u070f\u180e\u200e\u200f\u2028-\u202e]/u;

/** SASLprep (RFC 4013) as PostgreSQL does it: what cannot be prepared is taken as it is. */
export function saslPrep(password: string): string {
  if (/^\p{ASCII}*$/u.test(password)) return password;
  const prepared = password.replace(SPACES, " ").replace(MAPPED_TO_NOTHING, "").normalize("NFKC");
  return prepared === "" || PROHIBITED.test(prepared) ? password : prepared;
}

/** PostgreSQL's md5 answer: md5(md5(password, user), salt), in hex. */
export function md5Answer(user: string, password: string, salt: Uint8Array): string {
  const inner = createHash("md5").update(password).update(user).digest("hex");
  return `md5${createHash("md5").update(inner).update(salt).digest("hex")}`;
}
