/**
 * A relay that holds back what the server streams until it has sent all there is; then lets it go as fast as the client
 * takes it: what is measured behind it is the client alone.
 */
import type { Socket } from "node:net";
import { openRelay, type Relay } from "../test/support/relay.ts";

/** What begins the stream, and its answer's length. */
const START = "START_REPLICATION";
const COPY_BOTH_BYTES = 8;
/** A server that has been silent for so long has sent its backlog. */
const SILENCE_MS = 400;

export function openHeldRelay(to: {
  readonly host: string;
  readonly port: number;
}): Promise<Relay> {
  return openRelay(to, (client, server) => {
    let held: Held | undefined;
    return {
      fromClient: (chunk) => {
        if (chunk.includes(START)) held = new Held(client);
        server.write(chunk);
      },
      fromServer: (chunk) => {
        if (held === undefined || held.over) client.write(chunk);
        else held.keep(chunk);
      },
    };
  });
}

class Held {
  readonly #client: Socket;
  readonly #chunks: Buffer[] = [];
  #timer: NodeJS.Timeout | undefined;
  over = false;

  constructor(client: Socket) {
    this.#client = client;
  }

  keep(chunk: Buffer): void {
    // The client is told that the stream begins, and no more.
    if (this.#chunks.length === 0) this.#client.write(chunk.subarray(0, COPY_BOTH_BYTES));
    this.#chunks.push(chunk);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#letGo(), SILENCE_MS);
  }

  #letGo(): void {
    this.over = true;
    this.#client.write(Buffer.concat(this.#chunks).subarray(COPY_BOTH_BYTES));
  }
}
