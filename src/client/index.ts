/** `pg-replica/client`: connections that follow the primary, of our clusters and of any other PostgreSQL. */

export type { TlsConfig, TlsMode } from "../replication/tls.ts";
export { ClientError, type OwnCode } from "./errors.ts";
export type { Heard } from "./listen.ts";
export type { LogEntry, PoolOptions } from "./options.ts";
export { OUTCOME_DDL } from "./outcome.ts";
export { json } from "./params.ts";
export { createPool, type Pool } from "./pool.ts";
export type { Mode } from "./routing.ts";
export type { Isolation, OpenTransaction, Session } from "./session.ts";
export type {
  NodeInfo,
  NodeStatus,
  PoolStatus,
  QueryOptions,
  QueryResult,
  TransactionOptions,
} from "./surface.ts";
export type { Primary } from "./topology.ts";
export type { RowMode, TypeParsers } from "./types.ts";
