/** What can go wrong when talking to a server, told apart by class and SQLSTATE, never by text. */

/** The fields of an ErrorResponse or NoticeResponse that matter to us. */
export interface ServerMessage {
  /** Not translated: ERROR, FATAL, PANIC, WARNING, NOTICE, … */
  readonly severity: string;
  /** The SQLSTATE, five characters. */
  readonly code: string;
  readonly message: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  readonly where: string | undefined;
  /** The function in the server's source: not translated, unlike the message. */
  readonly routine: string | undefined;
}

/** The server refused: its own words, and the SQLSTATE in `code`. */
export class ServerError extends Error {
  override readonly name = "ServerError";
  readonly severity: string;
  readonly code: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  readonly where: string | undefined;
  constructor(from: ServerMessage) {
    super(from.message);
    this.severity = from.severity;
    this.code = from.code;
    this.detail = from.detail;
    this.hint = from.hint;
    this.where = from.where;
  }
  /** True when the server ends the session after this error. */
  get endsSession(): boolean {
    return this.severity === "FATAL" || this.severity === "PANIC";
  }
}

/** The bytes are not what the protocol allows here; the connection cannot be used further. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

/** The login failed before the server had a say, or the server could not prove that it knows us. */
export class LoginError extends Error {
  override readonly name = "LoginError";
}

/** The server speaks no TLS, or its certificate is not the one that was demanded. */
export class TlsError extends Error {
  override readonly name = "TlsError";
}

export type LostKind = "unreachable" | "closed" | "silent" | "ended_by_us";

/** There is no connection (any more): what happened, and after how much waiting. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
  readonly kind: LostKind;
  constructor(kind: LostKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}
