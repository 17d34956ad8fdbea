/** Something listens, but it is no PostgreSQL. */
import { createServer, type Socket } from "node:net";

export type Manner = "garbage" | "silence" | "closes" | "half a message";

export interface Stranger {
  readonly port: number;
  /** Connections to it. */
  readonly open: number;
  close(): Promise<void>;
}

const ANSWERS: Readonly<Record<Manner, (socket: Socket) => void>> = {
  garbage: (socket) => {
    socket.on("data", () => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"));
  },
  silence: (socket) => {
    socket.resume(); // hears it when the other side closes
  },
  closes: (socket) => {
    socket.end();
  },
  // A plain refusal of TLS, then the begin of an authentication request whose rest never comes.
  "half a message": (socket) => {
    socket.once("data", () => socket.write(Buffer.from("N")));
    socket.on("data", (bytes) => {
      if (bytes.length > 8) socket.write(Buffer.from([0x52, 0, 0, 0, 8, 0]));
    });
  },
};

export async function openStranger(manner: Manner): Promise<Stranger> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
    ANSWERS[manner](socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("it has no port");
  return {
    port: address.port,
    get open() {
      return sockets.size;
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
