/** Stands between a client and a server, on a port of its own. */
import { once } from "node:events";
import { createServer, connect as dial, type Socket } from "node:net";

/** What becomes of the bytes of one connection; by default they are passed on. */
export interface Between {
  fromClient?(chunk: Buffer): void;
  fromServer?(chunk: Buffer): void;
}

export interface Relay {
  readonly port: number;
  /** No further connection is taken. */
  refuse(): void;
  close(): Promise<void>;
}

export async function openRelay(
  to: { readonly host: string; readonly port: number },
  between: (client: Socket, server: Socket) => Between,
  at = { host: "127.0.0.1", port: 0 },
): Promise<Relay> {
  const sockets = new Set<Socket>();
  const listener = createServer((client) => {
    const server = dial(to);
    for (const socket of [client, server]) {
      sockets.add(socket);
      // Either side may go without a farewell.
      socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
    }
    const {
      fromClient = (chunk: Buffer) => void server.write(chunk),
      fromServer = (chunk: Buffer) => void client.write(chunk),
    } = between(client, server);
    client.on("data", fromClient).on("close", () => server.destroy());
    server.on("data", fromServer).on("close", () => client.end());
  });
  listener.listen(at);
  await once(listener, "listening");
  const closed = once(listener, "close");
  const address = listener.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    refuse: () => void listener.close(),
    close: async () => {
      listener.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
