/**
 * Stands between a server and a client, and holds back what the server streams until it has sent all there is; then
 * lets it go as fast as the client takes it: what is measured behind it is the client alone.
 */
import { once } from "node:events";
import { createServer, connect as dial, type Socket } from "node:net";

/** What begins the stream, and its answer's length. */
const START = "START_REPLICATION";
const COPY_BOTH_BYTES = 8;
/** A server that has been silent for so long has sent its backlog. */
const SILENCE_MS = 400;

export interface HeldRelay {
  readonly port: number;
  close(): Promise<void>;
}

export async function openHeldRelay(to: {
  readonly host: string;
  readonly port: number;
}): Promise<HeldRelay> {
  const sockets = new Set<Socket>();
  const listener = createServer((client) => {
    const server = dial(to);
    for (const socket of [client, server]) {
      sockets.add(socket);
      // Whoever measures ends its process without a farewell.
      socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
    }
    const holdBack = passing(server, client);
    client
      .on("close", () => server.destroy())
      .on("data", (chunk) => {
        if (chunk.includes(START)) holdBack();
        server.write(chunk);
      });
    server.on("close", () => client.end());
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const address = listener.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      listener.close();
      await once(listener, "close");
    },
  };
}

/** Passes everything on, until what it answers is called. */
function passing(server: Socket, client: Socket): () => void {
  let held: Buffer[] | undefined;
  let timer: NodeJS.Timeout | undefined;
  const letGo = () => {
    const all = Buffer.concat(held ?? []);
    held = undefined;
    client.write(all.subarray(COPY_BOTH_BYTES));
  };
  server.on("data", (chunk) => {
    if (held === undefined) client.write(chunk);
    else {
      // The client is told that the stream begins, and no more.
      if (held.length === 0) client.write(chunk.subarray(0, COPY_BOTH_BYTES));
      held.push(chunk);
      clearTimeout(timer);
      timer = setTimeout(letGo, SILENCE_MS);
    }
  });
  return () => {
    held = [];
  };
}
