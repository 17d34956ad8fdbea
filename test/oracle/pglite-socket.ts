/** The socket of pg's own client, with PGlite at its other end: every query speaks the protocol, as to a server. */
import { Duplex } from "node:stream";
import type { PGlite } from "@electric-sql/pglite";
import pg from "pg";

/** Terminate: it would end PGlite, which is closed by itself. */
const GOODBYE = "X".charCodeAt(0);

interface Chunk {
  readonly chunk: Buffer;
}

class PgliteSocket extends Duplex {
  readonly #pglite: PGlite;

  constructor(pglite: PGlite) {
    super();
    this.#pglite = pglite;
  }

  connect(): void {
    setImmediate(() => this.emit("connect"));
  }

  override _write(chunk: Buffer, _: string, done: (error?: Error) => void): void {
    this.#exchange(chunk).then(() => done(), done);
  }

  override _writev(chunks: Chunk[], done: (error?: Error) => void): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), "", done);
  }

  override _final(done: () => void): void {
    this.push(null);
    done();
  }

  override _read(): void {}
  setNoDelay(): void {}
  setKeepAlive(): void {}

  async #exchange(message: Buffer): Promise<void> {
    if (message[0] === GOODBYE) return;
    const answer = await this.#pglite.execProtocolRaw(new Uint8Array(message));
    if (answer.length > 0) this.push(answer);
  }
}

/** A client of this PGlite, connected. */
export async function connectPglite(pglite: PGlite): Promise<pg.Client> {
  const client = new pg.Client({
    user: "postgres",
    database: "postgres",
    stream: () => new PgliteSocket(pglite),
  });
  await client.connect();
  return client;
}
