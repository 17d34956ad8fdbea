/** One error for all that a call can meet: SQLSTATE or a code of ours in `code`, never told apart by its text. */
import pg from "pg";

/** Codes of ours; every other `code` is the server's SQLSTATE. */
export type OwnCode =
  | "CONFIG"
  | "NO_PRIMARY"
  | "NO_NODE"
  | "IN_DOUBT"
  | "TIMEOUT"
  | "ABORTED"
  | "POOL_ENDED"
  | "QUEUE_FULL"
  | "TX_LOST"
  | "UNREADABLE"
  | "CONNECTION_LOST";

export interface ErrorFields {
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  readonly constraint?: string | undefined;
  /** Where it happened, `host:port`. */
  readonly node?: string | undefined;
  /** How often it was tried. */
  readonly attempts?: number | undefined;
  readonly cause?: unknown;
}

export class ClientError extends Error {
  override readonly name = "ClientError";
  readonly code: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  readonly constraint: string | undefined;
  readonly node: string | undefined;
  readonly attempts: number | undefined;

  constructor(code: OwnCode | (string & {}), message: string, fields: ErrorFields = {}) {
    super(message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.code = code;
    this.detail = fields.detail;
    this.hint = fields.hint;
    this.constraint = fields.constraint;
    this.node = fields.node;
    this.attempts = fields.attempts;
  }
}

/** The server's SQLSTATE; undefined when it was not the server who spoke. */
export function sqlstateOf(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined;
}

/** The server ends the session after such an error. */
export function endsSession(error: unknown): boolean {
  return (
    error instanceof pg.DatabaseError && (error.severity === "FATAL" || error.severity === "PANIC")
  );
}

export const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

/** Whatever was thrown, as ours: where, and at which attempt. */
export function toClientError(
  error: unknown,
  at: { readonly node?: string | undefined; readonly attempts?: number | undefined },
): ClientError {
  if (error instanceof ClientError) return error;
  if (error instanceof pg.DatabaseError) {
    const { detail, hint, constraint } = error;
    const fields = { detail, hint, constraint, cause: error, ...at };
    return new ClientError(error.code ?? "XX000", error.message, fields);
  }
  return new ClientError("CONNECTION_LOST", messageOf(error), { cause: error, ...at });
}
