/** `node:crypto` with seeded chance; hashes are real, and the slow one is made cheap. */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { world } from "../world.ts";

export { createHash, createHmac, timingSafeEqual };

export function randomUUID(): string {
  return world().engine.random("uuid").uuid();
}

export function randomBytes(size: number): Buffer {
  const random = world().engine.random("uuid");
  return Buffer.from(Array.from({ length: size }, () => random.below(256)));
}

/** A verifier that nobody verifies: 4096 rounds of it would be most of a run. */
export function pbkdf2Sync(password: string, salt: Buffer, _rounds: number, size: number): Buffer {
  const digest = createHmac("sha256", password).update(salt).digest();
  return Buffer.concat([digest, digest]).subarray(0, size);
}

export function pbkdf2(): never {
  throw new Error("pbkdf2 is not simulated");
}
