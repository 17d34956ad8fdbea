/** The words of the protocol as types. Numbers that PostgreSQL keeps in 64 bits are `bigint`. */

/** A member's number, unique in its cluster, 1 or more. */
export type NodeId = number;
/** Raft's number of an election. */
export type Term = bigint;
/** The number of one primary decision in the log; 0 before the first. */
export type Epoch = bigint;
/** A position in the Raft log; 0 is before the first entry. */
export type LogIndex = bigint;
/** A position in the write-ahead log, in bytes. */
export type Lsn = bigint;

/** `16/B374D848` as PostgreSQL prints it, to bytes. Throws on anything else. */
export function parseLsn(text: string): Lsn {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text);
  if (match === null)
    throw new Error(`not an LSN: ${JSON.stringify(text)}, expected like 16/B374D848`);
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`);
}

/** Bytes to `16/B374D848`, as PostgreSQL prints it: upper case, no leading zeros. */
export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16)}/${(lsn & 0xffffffffn).toString(16)}`.toUpperCase();
}

/** How every name of a WAL receiver of ours begins. */
export const STANDBY_PREFIX = "pgr_";
/** The same of one that is not proved to be a standby yet. */
export const JOINER_PREFIX = "pgr_joiner_";

/** The name under which a member's WAL receiver attaches: bound to member and incarnation (H07). */
export function standbyName(id: NodeId, incarnation: string): string {
  return `${STANDBY_PREFIX}${id}_${incarnation.replaceAll("-", "").slice(0, 12)}`;
}

/** The name under which it attaches before its history is proved: in no commit rule, so that it confirms nothing. */
export function joinerName(id: NodeId, incarnation: string): string {
  return `${JOINER_PREFIX}${id}_${incarnation.replaceAll("-", "").slice(0, 12)}`;
}

/** The physical slot that every member keeps for member `id` (H43). */
export function slotName(id: NodeId): string {
  return `pgreplica_${id}`;
}

/** The role by which node `id` logs in to its peers' control stores and data servers. */
export function nodeRole(id: NodeId): string {
  return `pgreplica_node_${id}`;
}
