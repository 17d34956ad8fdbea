/** One error for everything a change stream can meet, told apart by kind and SQLSTATE, never by text. */
import {
  ConnectionLost,
  LoginError,
  ProtocolError,
  ServerError,
  TlsError,
} from "../replication/errors.ts";
import { TlsConfigError } from "../replication/tls.ts";

export type ReplicationErrorKind =
  | "config"
  | "io"
  | "tls"
  | "auth"
  | "server"
  | "protocol"
  | "slot"
  | "state"
  | "aborted"
  | "internal";

export interface ReplicationErrorFields {
  readonly sqlstate?: string | undefined;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

/** Too many connections, slot in use, shutdown, crash, starting up, idle session ended. */
const TRANSIENT = /^(08...|53300|55006|57P01|57P02|57P03|57P05)$/;

export class ReplicationError extends Error {
  override readonly name = "ReplicationError";
  readonly kind: ReplicationErrorKind;
  /** The server's code, when it was the server who refused. */
  readonly sqlstate: string | undefined;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  /** Trying again later, or elsewhere, may help. */
  readonly isTransient: boolean;

  constructor(kind: ReplicationErrorKind, message: string, fields: ReplicationErrorFields = {}) {
    super(message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.kind = kind;
    this.sqlstate = fields.sqlstate;
    this.detail = fields.detail;
    this.hint = fields.hint;
    this.isTransient = kind === "io" || TRANSIENT.test(fields.sqlstate ?? "");
  }
}

/** Whatever was thrown, as ours. */
export function toReplicationError(cause: unknown): ReplicationError {
  if (cause instanceof ReplicationError) return cause;
  if (cause instanceof ServerError) return ofServer(cause);
  const message = cause instanceof Error ? cause.message : String(cause);
  return new ReplicationError(kindOf(cause), message, { cause });
}

function kindOf(cause: unknown): ReplicationErrorKind {
  if (cause instanceof ConnectionLost) return cause.kind === "ended_by_us" ? "aborted" : "io";
  if (cause instanceof TlsConfigError) return "config";
  if (cause instanceof TlsError) return "tls";
  if (cause instanceof LoginError) return "auth";
  if (cause instanceof ProtocolError) return "protocol";
  if (cause instanceof DOMException && cause.name === "AbortError") return "aborted";
  return "internal";
}

function ofServer(cause: ServerError): ReplicationError {
  const { code: sqlstate, detail, hint } = cause;
  const kind = sqlstate.startsWith("28") ? "auth" : "server";
  return new ReplicationError(kind, cause.message, { sqlstate, detail, hint, cause });
}

/** A `recv` that its caller gave up. */
export function aborted(signal: AbortSignal): ReplicationError {
  return new ReplicationError("aborted", "recv was aborted; nothing is lost", {
    cause: signal.reason,
  });
}
