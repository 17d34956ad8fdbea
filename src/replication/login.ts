/** The beginning of a session: startup message, authentication, and the server's greetings. */
import type { Connection, ConnectOptions } from "./connection.ts";
import { LoginError, ProtocolError, ServerError } from "./errors.ts";
import {
  type Binding,
  MECHANISM,
  MECHANISM_PLUS,
  md5Answer,
  type ScramEnd,
  type ScramStart,
  startScram,
} from "./scram.ts";
import * as wire from "./wire.ts";

/** The caller limits the whole login; no single wait in it needs more than this. */
const SILENCE_LIMIT_MS = 60_000;

/** Returns at the first ReadyForQuery. Throws ServerError, LoginError, ProtocolError. */
export async function login(connection: Connection, options: ConnectOptions): Promise<void> {
  connection.send(wire.startup(startupParameters(options)));
  const authenticator = new Authenticator(options, connection);
  for (;;) {
    const message = await connection.receive(SILENCE_LIMIT_MS);
    if (message.kind === "error") throw new ServerError(message.error);
    else if (message.kind === "authentication") {
      const answer = await authenticator.answer(message.request);
      if (answer !== undefined) connection.send(answer);
    } else if (message.kind === "backendKeyData") connection.backendPid = message.pid;
    else if (message.kind === "readyForQuery") return authenticator.finish();
    else if (message.kind !== "negotiateVersion") {
      throw new ProtocolError(`${connection.peer}: unexpected ${message.kind} during the login`);
    }
  }
}

function startupParameters(options: ConnectOptions): Record<string, string> {
  const { user, database = "postgres", replication, applicationName = "pg_replica" } = options;
  return {
    user,
    ...(replication === "physical" ? { replication: "true" } : { database }),
    ...(replication === "logical" ? { replication: "database" } : {}),
    application_name: applicationName,
    client_encoding: "UTF8",
    // A setting of the role must not cut a session that takes minutes (H37).
    options: "-c statement_timeout=0 -c idle_session_timeout=0",
    DateStyle: "ISO",
    ...options.parameters,
  };
}

/** How a server may have us prove who we are; `none`: it asks for nothing, `cert`: nothing but our certificate. */
export type AuthMethod = "scram-sha-256" | "md5" | "password" | "cert" | "none";
export type ChannelBinding = "prefer" | "require" | "disable";

/** Answers the server's requests; SCRAM counts only once the server has proved itself too. */
class Authenticator {
  readonly #options: ConnectOptions;
  readonly #connection: Connection;
  #scramStart: ScramStart | undefined;
  #scramEnd: ScramEnd | undefined;
  #state: "open" | "answered" | "scram" | "done" = "open";

  constructor(options: ConnectOptions, connection: Connection) {
    this.#options = options;
    this.#connection = connection;
  }

  async answer(request: wire.AuthenticationRequest): Promise<Uint8Array | undefined> {
    switch (request.method) {
      case "ok":
        return this.#accepted();
      case "cleartext":
        return this.#answered("password", (password) => password);
      case "md5":
        return this.#answered("md5", (password) =>
          md5Answer(this.#options.user, password, request.salt),
        );
      case "sasl":
        return this.#beginScram(request.mechanisms);
      case "saslContinue":
        this.#scramEnd = await this.#started().answer(request.data);
        return wire.saslResponse(this.#scramEnd.final);
      case "saslFinal":
        this.#verify(request.data);
        return undefined;
      case "unsupported":
        throw new LoginError(
          `the server wants authentication method ${request.code}: not supported`,
        );
    }
  }

  finish(): void {
    if (this.#state !== "done") throw new ProtocolError("the server skipped the authentication");
  }

  #answered(method: AuthMethod, answer: (password: string) => string): Uint8Array {
    this.#allow(method);
    this.#state = "answered";
    return wire.password(answer(this.#need(method)));
  }

  #accepted(): undefined {
    if (this.#state === "scram") throw new LoginError("SCRAM: the server did not prove itself");
    if (this.#state === "open") {
      const withCert = this.#connection.encrypted && this.#options.tls?.options.cert !== undefined;
      this.#allow(withCert ? "cert" : "none");
      if (this.#options.channelBinding === "require") {
        throw new LoginError("channel binding is required, and the server asked for no password");
      }
    }
    this.#state = "done";
    return undefined;
  }

  #beginScram(mechanisms: readonly string[]): Uint8Array {
    this.#allow("scram-sha-256");
    const { mechanism, binding } = this.#bind(mechanisms);
    this.#scramStart = startScram(this.#need(MECHANISM), { binding });
    this.#state = "scram";
    return wire.saslInitialResponse(mechanism, this.#scramStart.first);
  }

  /** Bind to the TLS channel when both sides can; say that we could when only we can. */
  #bind(mechanisms: readonly string[]): { mechanism: string; binding: Binding } {
    const { channelBinding = "prefer" } = this.#options;
    const channel = channelBinding === "disable" ? undefined : this.#connection.channelBinding;
    if (channel !== undefined && mechanisms.includes(MECHANISM_PLUS)) {
      return { mechanism: MECHANISM_PLUS, binding: channel() };
    }
    if (channelBinding === "require") {
      const why = channel === undefined ? "the session is not encrypted" : "the server offers none";
      throw new LoginError(`channel binding is required, and ${why}`);
    }
    if (!mechanisms.includes(MECHANISM)) {
      throw new LoginError(`the server offers ${mechanisms.join(", ")}; ${MECHANISM} is supported`);
    }
    return { mechanism: MECHANISM, binding: channel === undefined ? "n" : "y" };
  }

  #started(): ScramStart {
    if (this.#scramStart === undefined) throw new ProtocolError("SCRAM goes on before it began");
    return this.#scramStart;
  }

  #verify(serverFinal: string): void {
    if (this.#scramEnd === undefined) throw new ProtocolError("SCRAM ends before it began");
    this.#scramEnd.verify(serverFinal);
    this.#state = "answered";
  }

  /** Without a list everything goes but a password in clear text over a line in clear text. */
  #allow(method: AuthMethod): void {
    const { requireAuth, channelBinding } = this.#options;
    if (requireAuth === undefined) {
      if (method !== "password" || this.#connection.encrypted) {
        if (channelBinding !== "require" || method === "scram-sha-256" || method === "none") return;
        throw new LoginError(`channel binding is required, and the server wants ${method}`);
      }
      throw new LoginError("the server wants the password in clear text: refused");
    }
    if (requireAuth.includes(method)) return;
    throw new LoginError(
      `the server wants authentication by ${method}; accepted: ${requireAuth.join(", ")}`,
    );
  }

  #need(method: string): string {
    const { password, user } = this.#options;
    if (password !== undefined) return password;
    throw new LoginError(`the server wants a password (${method}) for ${user}: none given`);
  }
}
