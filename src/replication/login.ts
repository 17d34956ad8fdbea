/** The beginning of a session: startup message, authentication, and the server's greetings. */
import type { Connection, ConnectOptions } from "./connection.ts";
import { LoginError, ProtocolError, ServerError } from "./errors.ts";
import { MECHANISM, md5Answer, type ScramEnd, type ScramStart, startScram } from "./scram.ts";
import * as wire from "./wire.ts";

/** The caller limits the whole login; no single wait in it needs more than this. */
const SILENCE_LIMIT_MS = 60_000;

/** Returns at the first ReadyForQuery. Throws ServerError, LoginError, ProtocolError. */
export async function login(connection: Connection, options: ConnectOptions): Promise<void> {
  connection.send(wire.startup(startupParameters(options)));
  const authenticator = new Authenticator(options);
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
    options: "-c statement_timeout=0 -c idle_session_timeout=0 -c DateStyle=ISO",
  };
}

/** Answers the server's requests; SCRAM counts only once the server has proved itself too. */
class Authenticator {
  readonly #user: string;
  readonly #password: string | undefined;
  #scramStart: ScramStart | undefined;
  #scramEnd: ScramEnd | undefined;
  #state: "open" | "scram" | "done" = "open";

  constructor({ user, password }: ConnectOptions) {
    this.#user = user;
    this.#password = password;
  }

  async answer(request: wire.AuthenticationRequest): Promise<Uint8Array | undefined> {
    switch (request.method) {
      case "ok":
        return this.#accepted();
      case "md5":
        return wire.password(md5Answer(this.#user, this.#need("md5"), request.salt));
      case "sasl":
        return this.#beginScram(request.mechanisms);
      case "saslContinue":
        this.#scramEnd = await this.#started().answer(request.data);
        return wire.saslResponse(this.#scramEnd.final);
      case "saslFinal":
        this.#verify(request.data);
        return undefined;
      case "cleartext":
        throw new LoginError("the server wants the password in clear text: refused");
      case "unsupported":
        throw new LoginError(
          `the server wants authentication method ${request.code}: not supported`,
        );
    }
  }

  finish(): void {
    if (this.#state !== "done") throw new ProtocolError("the server skipped the authentication");
  }

  #accepted(): undefined {
    if (this.#state === "scram") throw new LoginError("SCRAM: the server did not prove itself");
    this.#state = "done";
    return undefined;
  }

  #beginScram(mechanisms: readonly string[]): Uint8Array {
    if (!mechanisms.includes(MECHANISM)) {
      throw new LoginError(`the server offers ${mechanisms.join(", ")}; ${MECHANISM} is supported`);
    }
    this.#scramStart = startScram(this.#need(MECHANISM));
    this.#state = "scram";
    return wire.saslInitialResponse(MECHANISM, this.#scramStart.first);
  }

  #started(): ScramStart {
    if (this.#scramStart === undefined) throw new ProtocolError("SCRAM goes on before it began");
    return this.#scramStart;
  }

  #verify(serverFinal: string): void {
    if (this.#scramEnd === undefined) throw new ProtocolError("SCRAM ends before it began");
    this.#scramEnd.verify(serverFinal);
    this.#state = "open";
  }

  #need(method: string): string {
    if (this.#password !== undefined) return this.#password;
    throw new LoginError(`the server wants a password (${method}) for ${this.#user}: none given`);
  }
}
