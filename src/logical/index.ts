/** `pg-replica/replication`: a logical replication client with explicit LSN control. */

export type { TlsConfig, TlsMode } from "../replication/tls.ts";
export { ReplicationClient } from "./client.ts";
export { ReplicationError, type ReplicationErrorKind } from "./errors.ts";
export * from "./events.ts";
export { Lsn } from "./lsn.ts";
export type { ReplicationMetrics } from "./metrics.ts";
export { describe, type ReconnectOptions, type ReplicationConfig } from "./options.ts";
export * from "./slots.ts";
export type { TypeParsers } from "./tuple.ts";
export { PG_EPOCH_MICROS } from "./wal-message.ts";
