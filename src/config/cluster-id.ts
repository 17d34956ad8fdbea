/** The cluster's id: the same on every node, from what every node's file says. */
import { createHash } from "node:crypto";
import type { PeerConfig } from "./schema.ts";

/** Names of clusters live here (RFC 9562, version 5); changing it would make every cluster a stranger. */
const NAMESPACE = "1b5e6f3c-8d0a-5c57-9a3e-70675f726570";

/** Of a node that names no initial members, until it has joined a cluster. */
export const NO_CLUSTER = "00000000-0000-0000-0000-000000000000";

type Named = Pick<PeerConfig, "id" | "name" | "host" | "port">;

/** uuid v5 over the cluster's name and its initial members (id, name, control address), in any order. */
export function clusterIdOf(cluster: string, peers: readonly Named[]): string {
  const members = peers
    .toSorted((a, b) => a.id - b.id)
    .map(({ id, name, host, port }) => [id, name, host, port]);
  return uuidV5(NAMESPACE, JSON.stringify([cluster, members]));
}

/** RFC 9562, section 5.5. */
export function uuidV5(namespace: string, name: string): string {
  const bytes = createHash("sha1")
    .update(Buffer.from(namespace.replaceAll("-", ""), "hex"))
    .update(name)
    .digest()
    .subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x50;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
