/** The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677) and of md5: texts in, texts out. */
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { LoginError } from "./errors.ts";

const derive = promisify(pbkdf2);

const KEY_BYTES = 32;
/** A server may ask for any number; past this one the login would hold a thread for seconds. */
const MAX_ITERATIONS = 1_000_000;

export const MECHANISM = "SCRAM-SHA-256";
export const MECHANISM_PLUS = "SCRAM-SHA-256-PLUS";

/**
 * What the exchange says about the TLS channel below it: `n` we could not bind, `y` we could and the server did not
 * offer it (a lie is found out by the server), or the bytes that bind.
 */
export type Binding = "n" | "y" | Buffer;

const gs2Header = (binding: Binding): string =>
  typeof binding === "string" ? `${binding},,` : "p=tls-server-end-point,,";

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

/** Begin an exchange. */
export function startScram(
  password: string,
  { binding = "n", nonce = newNonce(), user = "" }: ScramOptions = {},
): ScramStart {
  const bare = `n=${user.replaceAll("=", "=3D").replaceAll(",", "=2C")},r=${nonce}`;
  const exchange = { bare, nonce, binding, password: saslPrep(password) };
  return {
    first: `${gs2Header(binding)}${bare}`,
    answer: (serverFirst) => answer(serverFirst, exchange),
  };
}

export interface ScramOptions {
  readonly binding?: Binding;
  readonly nonce?: string;
  /** Empty for PostgreSQL, which takes the one of the startup message. */
  readonly user?: string;
}

const newNonce = (): string => randomBytes(18).toString("base64");

interface Exchange {
  readonly bare: string;
  readonly nonce: string;
  readonly binding: Binding;
  readonly password: string;
}

async function answer(serverFirst: string, exchange: Exchange): Promise<ScramEnd> {
  const { bare, nonce, binding, password } = exchange;
  const { fullNonce, salt, iterations } = parseServerFirst(serverFirst);
  if (!fullNonce.startsWith(nonce) || fullNonce.length === nonce.length) {
    throw new LoginError("SCRAM: the server did not extend our nonce");
  }
  const salted = await derive(password, salt, iterations, KEY_BYTES, "sha256");
  const clientKey = hmac(salted, "Client Key");
  const bound = typeof binding === "string" ? Buffer.alloc(0) : binding;
  const channel = Buffer.concat([Buffer.from(gs2Header(binding)), bound]).toString("base64");
  const withoutProof = `c=${channel},r=${fullNonce}`;
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
  const refusal = /^e=([^,]*)/.exec(serverFinal)?.[1];
  if (refusal !== undefined) throw new LoginError(`SCRAM: the server refused: ${refusal}`);
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
