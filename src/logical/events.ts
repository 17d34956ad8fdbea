/** What a change stream yields. */
import type { Lsn } from "./lsn.ts";

/** A TOASTed value that the update did not touch: the server did not send it. Never null, never missing. */
export const UNCHANGED: unique symbol = Symbol("unchanged");

/** Text by default, `null`, UNCHANGED, a Buffer in binary form, or what the `types` map made of it. */
export type Value = unknown;
export type Row = Readonly<Record<string, Value>>;

export interface Column {
  readonly name: string;
  readonly typeId: number;
  readonly typeModifier: number;
  /** Part of the replica identity. */
  readonly key: boolean;
}

/** A table as it is at the events that name it, also after a later DDL. */
export interface Relation {
  readonly relationId: number;
  readonly schema: string;
  readonly table: string;
  readonly replicaIdentity: "default" | "nothing" | "full" | "index";
  readonly columns: readonly Column[];
}

/** Where in the WAL a message stands, and when the server sent it. */
interface Placed {
  readonly walStart: Lsn;
  readonly walEnd: Lsn;
  /** Microseconds since 1970-01-01. */
  readonly serverTimeMicros: number;
}

interface InTransaction extends Placed {
  readonly xid: number;
  /** Of a streamed transaction: the subtransaction the change belongs to. */
  readonly subXid?: number;
}

export interface Keepalive {
  readonly kind: "keepalive";
  readonly walEnd: Lsn;
  /** The server asked for an answer, and has it already. */
  readonly replyRequested: boolean;
  readonly serverTimeMicros: number;
}

export interface XLogData extends Placed {
  readonly kind: "xlogData";
  /** A message of pgoutput, undecoded. */
  readonly data: Buffer;
}

export interface Begin extends InTransaction {
  readonly kind: "begin";
  readonly finalLsn: Lsn;
  readonly commitTimeMicros: number;
}

export interface Commit extends InTransaction {
  readonly kind: "commit";
  readonly lsn: Lsn;
  /** What to acknowledge. */
  readonly endLsn: Lsn;
  readonly commitTimeMicros: number;
}

/** Before a table's first use, again after DDL and after a reconnect. */
export interface RelationEvent extends Placed, Relation {
  readonly kind: "relation";
}

export interface Insert extends InTransaction {
  readonly kind: "insert";
  readonly relation: Relation;
  readonly new: Row;
}

export interface Update extends InTransaction {
  readonly kind: "update";
  readonly relation: Relation;
  readonly new: Row;
  /** `key`: the replica identity's columns only, sent when one of them changed; `full`: the whole row. */
  readonly old: Row | null;
  readonly oldKind: "key" | "full" | null;
}

export interface Delete extends InTransaction {
  readonly kind: "delete";
  readonly relation: Relation;
  readonly old: Row;
  readonly oldKind: "key" | "full";
}

export interface Truncate extends InTransaction {
  readonly kind: "truncate";
  readonly relations: readonly Relation[];
  readonly cascade: boolean;
  readonly restartIdentity: boolean;
}

/** A type that is not built in. */
export interface TypeEvent extends Placed {
  readonly kind: "type";
  readonly typeId: number;
  readonly schema: string;
  readonly name: string;
}

export interface Origin extends Placed {
  readonly kind: "origin";
  readonly commitLsn: Lsn;
  readonly name: string;
}

/** Of `pg_logical_emit_message`. */
export interface LogicalMessage extends Placed {
  readonly kind: "message";
  readonly xid?: number;
  readonly transactional: boolean;
  readonly lsn: Lsn;
  readonly prefix: string;
  readonly content: Buffer;
}

export interface StreamStart extends InTransaction {
  readonly kind: "streamStart";
  /** The first piece of this transaction. */
  readonly first: boolean;
}
export interface StreamStop extends InTransaction {
  readonly kind: "streamStop";
}
export interface StreamCommit extends InTransaction {
  readonly kind: "streamCommit";
  readonly lsn: Lsn;
  readonly endLsn: Lsn;
  readonly commitTimeMicros: number;
}
/** Forget what `subXid` did; all of the transaction when it is equal to `xid`. */
export interface StreamAbort extends InTransaction {
  readonly kind: "streamAbort";
  readonly subXid: number;
  /** With `streaming: 'parallel'`. */
  readonly abortLsn?: Lsn;
  readonly abortTimeMicros?: number;
}
interface Prepared extends InTransaction {
  readonly endLsn: Lsn;
  readonly gid: string;
}
export interface BeginPrepare extends Prepared {
  readonly kind: "beginPrepare";
  readonly prepareLsn: Lsn;
  readonly prepareTimeMicros: number;
}
export interface Prepare extends Prepared {
  readonly kind: "prepare" | "streamPrepare";
  readonly prepareLsn: Lsn;
  readonly prepareTimeMicros: number;
}
export interface CommitPrepared extends Prepared {
  readonly kind: "commitPrepared";
  readonly lsn: Lsn;
  readonly commitTimeMicros: number;
}
export interface RollbackPrepared extends Prepared {
  readonly kind: "rollbackPrepared";
  readonly prepareEndLsn: Lsn;
  readonly prepareTimeMicros: number;
  readonly rollbackTimeMicros: number;
}

/** The last event of a bounded replay. */
export interface StoppedAt {
  readonly kind: "stoppedAt";
  readonly reached: Lsn;
}

export type WalEvent =
  | Begin
  | Commit
  | RelationEvent
  | Insert
  | Update
  | Delete
  | Truncate
  | TypeEvent
  | Origin
  | LogicalMessage
  | StreamStart
  | StreamStop
  | StreamCommit
  | StreamAbort
  | BeginPrepare
  | Prepare
  | CommitPrepared
  | RollbackPrepared;

export type ReplicationEvent = WalEvent | XLogData | Keepalive | StoppedAt;
