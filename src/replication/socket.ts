/** Opens a socket to a server, over TCP or a unix socket, in TLS where asked for. */
import { connect as connectNet, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { ConnectionLost, ProtocolError, TlsError } from "./errors.ts";
import type { TlsPlan } from "./tls.ts";
import { sslRequest } from "./wire.ts";

export interface Address {
  /** A name or address, or the folder of a unix socket (it begins with a slash). */
  readonly host: string;
  readonly port: number;
  /** As `planTls` says; without it the session is in plain text. */
  readonly tls?: TlsPlan | undefined;
}

/** For messages: where a connection leads. */
export const describe = ({ host, port }: Address): string =>
  host.startsWith("/") ? socketPath(host, port) : `${host}:${port}`;

const socketPath = (folder: string, port: number): string => `${folder}/.s.PGSQL.${port}`;

/** A connected socket. Rejects with ConnectionLost, or with the signal's reason when it aborts. */
export async function openSocket(address: Address, signal: AbortSignal): Promise<Socket> {
  const { host, port, tls } = address;
  const plain = host.startsWith("/")
    ? connectNet({ path: socketPath(host, port) })
    : connectNet({ host, port });
  await opened(plain, "connect", address, signal);
  plain.setNoDelay(true);
  plain.setKeepAlive(true, 10_000);
  if (tls === undefined) return plain;
  if (!tls.direct && !(await requestTls(plain, address, signal))) return plain;
  const secure = connectTls({ ...tls.options, socket: plain });
  await opened(secure, "secureConnect", address, signal);
  if (tls.direct && secure.alpnProtocol !== "postgresql") {
    secure.destroy();
    throw new TlsError(
      `${describe(address)} does not begin with TLS: direct negotiation needs PostgreSQL 17`,
    );
  }
  return secure;
}

/** Wait until `event`; destroy the socket when it fails or the signal aborts first. */
function opened(socket: Socket, event: string, to: Address, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void) => {
      socket.off(event, onOpen).off("error", onError).off("close", onClose);
      signal.removeEventListener("abort", onAbort);
      act();
    };
    const fail = (error: unknown) => {
      settle(() => reject(error));
      socket.on("error", () => undefined); // already reported once
      socket.destroy();
    };
    const onOpen = () => settle(resolve);
    const failed = event === "secureConnect" ? handshakeFailed : unreachable;
    const onError = (cause: Error) => fail(failed(to, cause.message, cause));
    const onClose = () => fail(unreachable(to, "the server closed the connection"));
    const onAbort = () => fail(signal.reason);
    socket.once(event, onOpen).once("error", onError).once("close", onClose);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}

function unreachable(to: Address, why: string, cause?: Error): ConnectionLost {
  const options = cause === undefined ? {} : { cause };
  return new ConnectionLost("unreachable", `cannot connect to ${describe(to)}: ${why}`, options);
}

function handshakeFailed(to: Address, why: string, cause?: Error): TlsError {
  return new TlsError(`TLS with ${describe(to)} failed: ${why}`, { cause });
}

/** True: the server goes on in TLS. Exactly one byte may come back before the handshake (CVE-2021-23222). */
async function requestTls(socket: Socket, to: Address, signal: AbortSignal): Promise<boolean> {
  socket.write(sslRequest());
  await opened(socket, "readable", to, signal);
  const answer: Buffer = socket.read() ?? Buffer.alloc(0);
  if (answer.length === 1 && answer[0] === 0x53) return true;
  if (answer.length === 1 && answer[0] === 0x4e && to.tls?.required === false) return false;
  socket.destroy();
  if (answer.length === 1 && answer[0] === 0x4e) {
    throw new TlsError(`${describe(to)} does not offer TLS`);
  }
  throw new ProtocolError(`${describe(to)} answered ${answer.length} bytes to the request for TLS`);
}
