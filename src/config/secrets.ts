/** Passwords that nobody types: derived from the cluster's one secret, and stored as SCRAM verifiers. */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";
import type { NodeId } from "../core/ids.ts";

/** By which node `nodeId` logs in to its peers: HMAC-SHA256 of cluster and node, hexadecimal. */
export function nodePassword(
  config: { readonly peerSecret: string; readonly clusterId: string },
  nodeId: NodeId,
): string {
  return createHmac("sha256", config.peerSecret)
    .update(`${config.clusterId}:${nodeId}`)
    .digest("hex");
}

/**
 * What `alter role … password` stores, so that no password is ever sent or logged: RFC 5803 as
 * PostgreSQL writes it. The password is printable ASCII (checked where it is read), which SASLprep
 * leaves as it is.
 */
export function scramVerifier(
  password: string,
  { salt = randomBytes(16), iterations = 4096 }: { salt?: Buffer; iterations?: number } = {},
): string {
  const salted = pbkdf2Sync(password, salt, iterations, 32, "sha256");
  const hmac = (label: string) => createHmac("sha256", salted).update(label).digest();
  const storedKey = createHash("sha256").update(hmac("Client Key")).digest("base64");
  const serverKey = hmac("Server Key").toString("base64");
  return `SCRAM-SHA-256$${iterations}:${salt.toString("base64")}$${storedKey}:${serverKey}`;
}

/** Whether a stored verifier is this password's. */
export function verifies(verifier: string | null, password: string): boolean {
  const [, iterations, salt] = /^SCRAM-SHA-256\$(\d+):([^$]+)\$/.exec(verifier ?? "") ?? [];
  if (iterations === undefined || salt === undefined) return false;
  const same = { salt: Buffer.from(salt, "base64"), iterations: Number(iterations) };
  return scramVerifier(password, same) === verifier;
}
