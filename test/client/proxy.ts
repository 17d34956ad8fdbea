/** Stands between a client and a server, and loses what the test says: an answer, or the question itself. */
import { connect, createServer, type Server, type Socket } from "node:net";

export type Loss =
  /** The message is not passed on: the server sees a client that went away. */
  | "question"
  /** The server does what it was asked, and its answer is thrown away. */
  | "answer";

export interface LossyProxy {
  readonly port: number;
  /** The next message that holds `text` loses that, and its connection; `refuse`: no other is taken. */
  lose(loss: Loss, text: string, then?: "go on" | "refuse"): void;
  /** Bytes wait this long, in both directions. */
  delay(ms: number): void;
  /** How often something was lost. */
  readonly losses: number;
  close(): Promise<void>;
}

export async function openProxy(target: {
  readonly host: string;
  readonly port: number;
}): Promise<LossyProxy> {
  const state = {
    loss: undefined as { loss: Loss; text: string; then: string } | undefined,
    delayMs: 0,
    losses: 0,
  };
  const sockets = new Set<Socket>();
  const later = (act: () => void) => (state.delayMs === 0 ? act() : setTimeout(act, state.delayMs));
  const server: Server = createServer((client) => {
    const upstream = connect(target);
    let deaf = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on("data", (bytes) => {
      const wanted = state.loss;
      if (wanted !== undefined && bytes.includes(wanted.text)) {
        state.loss = undefined;
        state.losses += 1;
        if (wanted.then === "refuse") server.close();
        if (wanted.loss === "question") {
          upstream.destroy();
          return;
        }
        deaf = true;
      }
      later(() => upstream.write(bytes));
    });
    upstream.on("data", (bytes) => {
      if (deaf) client.destroy();
      else later(() => client.write(bytes));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the proxy has no port");
  return {
    port: address.port,
    lose: (loss, text, then = "go on") => {
      state.loss = { loss, text, then };
    },
    delay: (ms) => {
      state.delayMs = ms;
    },
    get losses() {
      return state.losses;
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
