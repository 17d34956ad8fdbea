/**
 * The messages of pgoutput, protocol versions 1 to 4 (PostgreSQL documentation, "Logical Replication Message Formats").
 *
 * Within a streamed block every change begins with the xid of its (sub)transaction.
 */
import { ProtocolError } from "../replication/errors.ts";
import type { Cursor } from "./cursor.ts";
import type { Column, Relation, WalEvent } from "./events.ts";
import type { Lsn } from "./lsn.ts";
import { RowReader, type TypeParsers } from "./tuple.ts";
import { sentAtOf, walEndOf, walStartOf, XLOG_HEADER_BYTES } from "./wal-message.ts";

const NEW = 0x4e;
const KEY = 0x4b;
const OLD = 0x4f;
const IDENTITIES = { d: "default", n: "nothing", f: "full", i: "index" } as const;

interface Place {
  readonly walStart: Lsn;
  readonly walEnd: Lsn;
  readonly serverTimeMicros: number;
}

/** Turns frames of WAL data into events; keeps the tables, and the transaction that is open. */
export class PgOutput {
  readonly #types: TypeParsers;
  readonly #parallel: boolean;
  #readers = new Map<number, RowReader>();
  #xid: number | undefined;
  /** Between streamStart and streamStop. */
  #streamed = false;

  constructor(types: TypeParsers, parallel: boolean) {
    this.#types = types;
    this.#parallel = parallel;
  }

  /** No transaction's changes are being delivered. */
  get betweenTransactions(): boolean {
    return this.#xid === undefined;
  }

  /** A new session knows no tables and is in no transaction. */
  reset(): void {
    this.#readers = new Map();
    this.#xid = undefined;
    this.#streamed = false;
  }

  /** Throws ProtocolError on what pgoutput does not send. */
  decode(cursor: Cursor): WalEvent {
    const { bytes, from } = cursor;
    cursor.skip(XLOG_HEADER_BYTES);
    const walStart = walStartOf(bytes, from);
    const place: Place = {
      walStart,
      walEnd: walEndOf(bytes, from, walStart),
      serverTimeMicros: sentAtOf(bytes, from),
    };
    const type = cursor.byte();
    // The frequent ones first.
    if (type === 0x49) return this.#insert(cursor, place);
    if (type === 0x55) return this.#update(cursor, place);
    if (type === 0x44) return this.#delete(cursor, place);
    return this.#other(String.fromCharCode(type), cursor, place);
  }

  #other(type: string, cursor: Cursor, place: Place): WalEvent {
    switch (type) {
      case "B":
        return this.#begin(cursor, place);
      case "C":
        return this.#commit(cursor, place);
      case "R":
        return this.#relation(cursor, place);
      case "T":
        return this.#truncate(cursor, place);
      case "Y":
        return this.#type(cursor, place);
      case "O":
        return { kind: "origin", ...place, commitLsn: cursor.lsn(), name: cursor.cstring() };
      case "M":
        return this.#message(cursor, place);
      case "S":
        return this.#streamStart(cursor, place);
      case "E":
        return this.#streamStop(place);
      case "c":
        return this.#streamCommit(cursor, place);
      case "A":
        return this.#streamAbort(cursor, place);
      default:
        return this.#twoPhase(type, cursor, place);
    }
  }

  #begin(cursor: Cursor, place: Place): WalEvent {
    const [finalLsn, commitTimeMicros, xid] = [cursor.lsn(), cursor.micros(), cursor.uint32()];
    this.#xid = xid;
    return { kind: "begin", ...place, finalLsn, commitTimeMicros, xid };
  }

  #commit(cursor: Cursor, place: Place): WalEvent {
    cursor.byte(); // flags, unused
    const xid = this.#current();
    this.#xid = undefined;
    const [lsn, endLsn] = [cursor.lsn(), cursor.lsn()];
    return { kind: "commit", ...place, xid, lsn, endLsn, commitTimeMicros: cursor.micros() };
  }

  #current(): number {
    if (this.#xid === undefined) throw new ProtocolError("a change outside any transaction");
    return this.#xid;
  }

  /** The transaction a change belongs to; read first, for it stands first. */
  #owner(cursor: Cursor): { readonly xid: number; readonly subXid?: number } {
    if (!this.#streamed) return { xid: this.#current() };
    const subXid = cursor.uint32();
    return { xid: this.#current(), subXid };
  }

  #reader(cursor: Cursor): RowReader {
    const id = cursor.uint32();
    const reader = this.#readers.get(id);
    if (reader === undefined)
      throw new ProtocolError(`a row of table ${id}, which was not described`);
    return reader;
  }

  /** Field by field: what is spread takes three times as long. */
  #insert(cursor: Cursor, { walStart, walEnd, serverTimeMicros }: Place): WalEvent {
    const { xid, subXid } = this.#owner(cursor);
    const reader = this.#reader(cursor);
    expectByte(cursor, NEW);
    const { relation } = reader;
    const row = reader.row(cursor);
    const kind = "insert";
    return subXid === undefined
      ? { kind, walStart, walEnd, serverTimeMicros, xid, relation, new: row }
      : { kind, walStart, walEnd, serverTimeMicros, xid, subXid, relation, new: row };
  }

  #update(cursor: Cursor, { walStart, walEnd, serverTimeMicros }: Place): WalEvent {
    const { xid, subXid } = this.#owner(cursor);
    const reader = this.#reader(cursor);
    const before = cursor.byte();
    const { old, oldKind } = before === NEW ? NO_OLD : this.#old(before, reader, cursor);
    if (before !== NEW) expectByte(cursor, NEW);
    const { relation } = reader;
    const row = reader.row(cursor);
    const kind = "update";
    return subXid === undefined
      ? { kind, walStart, walEnd, serverTimeMicros, xid, relation, new: row, old, oldKind }
      : { kind, walStart, walEnd, serverTimeMicros, xid, subXid, relation, new: row, old, oldKind };
  }

  #delete(cursor: Cursor, place: Place): WalEvent {
    const owner = this.#owner(cursor);
    const reader = this.#reader(cursor);
    const old = this.#old(cursor.byte(), reader, cursor);
    return { kind: "delete", ...place, ...owner, relation: reader.relation, ...old };
  }

  #old(marker: number, reader: RowReader, cursor: Cursor) {
    if (marker === KEY) return { old: reader.key(cursor), oldKind: "key" } as const;
    if (marker === OLD) return { old: reader.row(cursor), oldKind: "full" } as const;
    throw new ProtocolError(`unknown part ${marker} of a change`);
  }

  #relation(cursor: Cursor, place: Place): WalEvent {
    if (this.#streamed) cursor.uint32();
    const relation = readRelation(cursor);
    this.#readers.set(relation.relationId, new RowReader(relation, this.#types));
    return { kind: "relation", ...place, ...relation };
  }

  #truncate(cursor: Cursor, place: Place): WalEvent {
    const owner = this.#owner(cursor);
    const count = cursor.int32();
    const flags = cursor.byte();
    const relations = repeat(count, cursor, () => this.#reader(cursor).relation);
    const options = { cascade: (flags & 1) !== 0, restartIdentity: (flags & 2) !== 0 };
    return { kind: "truncate", ...place, ...owner, relations, ...options };
  }

  #type(cursor: Cursor, place: Place): WalEvent {
    if (this.#streamed) cursor.uint32();
    const [typeId, schema, name] = [cursor.uint32(), cursor.cstring(), cursor.cstring()];
    return { kind: "type", ...place, typeId, schema, name };
  }

  #message(cursor: Cursor, place: Place): WalEvent {
    const streamXid = this.#streamed ? cursor.uint32() : undefined;
    const transactional = cursor.byte() === 1;
    const xid = transactional ? (this.#xid ?? streamXid) : undefined;
    const [lsn, prefix] = [cursor.lsn(), cursor.cstring()];
    const content = cursor.slice(cursor.int32());
    const owner = xid === undefined ? {} : { xid };
    return { kind: "message", ...place, ...owner, transactional, lsn, prefix, content };
  }

  #streamStart(cursor: Cursor, place: Place): WalEvent {
    const xid = cursor.uint32();
    this.#xid = xid;
    this.#streamed = true;
    return { kind: "streamStart", ...place, xid, first: cursor.byte() === 1 };
  }

  #streamStop(place: Place): WalEvent {
    const xid = this.#current();
    this.#xid = undefined;
    this.#streamed = false;
    return { kind: "streamStop", ...place, xid };
  }

  #streamCommit(cursor: Cursor, place: Place): WalEvent {
    const xid = cursor.uint32();
    cursor.byte(); // flags, unused
    const [lsn, endLsn] = [cursor.lsn(), cursor.lsn()];
    return { kind: "streamCommit", ...place, xid, lsn, endLsn, commitTimeMicros: cursor.micros() };
  }

  #streamAbort(cursor: Cursor, place: Place): WalEvent {
    const [xid, subXid] = [cursor.uint32(), cursor.uint32()];
    const when = this.#parallel ? { abortLsn: cursor.lsn(), abortTimeMicros: cursor.micros() } : {};
    return { kind: "streamAbort", ...place, xid, subXid, ...when };
  }

  #twoPhase(type: string, cursor: Cursor, place: Place): WalEvent {
    if (type === "b" || type === "P" || type === "p") return this.#prepare(type, cursor, place);
    if (type === "K") {
      cursor.byte(); // flags, unused
      const [lsn, endLsn, commitTimeMicros] = [cursor.lsn(), cursor.lsn(), cursor.micros()];
      const who = { xid: cursor.uint32(), gid: cursor.cstring() };
      return { kind: "commitPrepared", ...place, lsn, endLsn, commitTimeMicros, ...who };
    }
    if (type === "r") {
      cursor.byte(); // flags, unused
      const [prepareEndLsn, endLsn] = [cursor.lsn(), cursor.lsn()];
      const [prepareTimeMicros, rollbackTimeMicros] = [cursor.micros(), cursor.micros()];
      const who = { xid: cursor.uint32(), gid: cursor.cstring() };
      const when = { prepareEndLsn, endLsn, prepareTimeMicros, rollbackTimeMicros };
      return { kind: "rollbackPrepared", ...place, ...when, ...who };
    }
    throw new ProtocolError(`unknown message ${JSON.stringify(type)} of pgoutput`);
  }

  #prepare(type: "b" | "P" | "p", cursor: Cursor, place: Place): WalEvent {
    if (type !== "b") cursor.byte(); // flags, unused
    const [prepareLsn, endLsn, prepareTimeMicros] = [cursor.lsn(), cursor.lsn(), cursor.micros()];
    const rest = { prepareLsn, endLsn, prepareTimeMicros, xid: cursor.uint32() };
    const gid = cursor.cstring();
    if (type === "b") this.#xid = rest.xid;
    if (type === "P") this.#xid = undefined;
    const kind = ({ b: "beginPrepare", P: "prepare", p: "streamPrepare" } as const)[type];
    return { kind, ...place, ...rest, gid };
  }
}

const NO_OLD = { old: null, oldKind: null } as const;

function expectByte(cursor: Cursor, wanted: number): void {
  const found = cursor.byte();
  if (found !== wanted) throw new ProtocolError(`unknown part ${found} of a change`);
}

function readRelation(cursor: Cursor): Relation {
  const [relationId, schema, table] = [cursor.uint32(), cursor.cstring(), cursor.cstring()];
  const identity = String.fromCharCode(cursor.byte());
  const columns = repeat(cursor.int16(), cursor, () => readColumn(cursor));
  const replicaIdentity = IDENTITIES[identity as keyof typeof IDENTITIES];
  if (replicaIdentity === undefined)
    throw new ProtocolError(`unknown replica identity ${identity}`);
  // An empty schema name stands for pg_catalog.
  return { relationId, schema: schema || "pg_catalog", table, replicaIdentity, columns };
}

function readColumn(cursor: Cursor): Column {
  const key = (cursor.byte() & 1) === 1;
  return { name: cursor.cstring(), typeId: cursor.uint32(), typeModifier: cursor.int32(), key };
}

/** A count that the message cannot hold is found out before room is made for it. */
function repeat<T>(count: number, cursor: Cursor, read: () => T): T[] {
  if (count < 0 || count > cursor.end - cursor.at)
    throw new ProtocolError(`a list of ${count} parts`);
  return Array.from({ length: count }, read);
}
