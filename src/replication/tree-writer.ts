/** Writes the files of a data directory: several at a time, in bounded memory, durably. */
import { type FileHandle, mkdir, open, stat } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";

/** Who shall own what is written: a number each, as chown takes them. */
export interface FileOwner {
  readonly uid: number;
  readonly gid: number;
}

/** Bytes that were handed over and are not on disk yet; past this the caller is asked to wait. */
const HIGH_WATER_BYTES = 8 * 1024 * 1024;
/** Files begun and not closed; small files cost round trips, not bytes. */
const MAX_OPEN_FILES = 16;
/** A write is worth a system call from here on, and takes no more than the second number. */
const WRITE_BYTES = 512 * 1024;
const MAX_WRITE_BUFFERS = 256;
/** How many fsync run at once: the process has four threads for everything that blocks. */
const MAX_SYNCS = 3;

export class TreeWriter {
  readonly #root: string;
  readonly #owner: FileOwner | undefined;
  readonly #directories: string[] = [];
  readonly #running = new Set<Promise<void>>();
  #current: FileWrite | undefined;
  #pendingBytes = 0;
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;
  readonly #sync = atMost(MAX_SYNCS, (handle: FileHandle) => handle.sync());

  /** `root` must exist. */
  constructor(root: string, owner: FileOwner | undefined) {
    this.#root = root;
    const ours = owner?.uid === process.getuid?.() && owner?.gid === process.getgid?.();
    this.#owner = ours ? undefined : owner;
  }

  /** Make a directory below the root; one that is there already is only given the mode. */
  async makeDirectory(path: string, mode: number): Promise<void> {
    const full = this.#inside(path);
    const made = await mkdir(full, { mode }).then(
      () => true,
      async (error: NodeJS.ErrnoException) => {
        if (error.code === "EEXIST" && (await stat(full)).isDirectory()) return false;
        throw error;
      },
    );
    const handle = await open(full, "r");
    try {
      if (mode !== 0o700 || !made) await handle.chmod(mode);
      if (this.#owner !== undefined) await handle.chown(this.#owner.uid, this.#owner.gid);
    } finally {
      await handle.close();
    }
    if (made) this.#directories.push(full);
  }

  /** Begin a file below the root; the one before must have ended. */
  beginFile(path: string, mode: number): void {
    const full = this.#inside(path);
    const file = new FileWrite(full, {
      mode,
      owner: this.#owner,
      sync: this.#sync,
      onWritten: (bytes) => this.#written(bytes),
    });
    this.#current = file;
    const running: Promise<void> = file.run().then(
      () => this.#settled(running),
      (error: unknown) => {
        this.#failure ??= { error };
        this.#settled(running);
      },
    );
    this.#running.add(running);
  }

  /** More of the file; keeps `bytes` until they are written, so the caller must not reuse them. */
  write(bytes: Uint8Array): void {
    this.#pendingBytes += bytes.length;
    this.#current?.add(bytes);
  }

  endFile(): void {
    this.#current?.end();
    this.#current = undefined;
  }

  /** Resolves when more may be handed over. Throws what went wrong in the background. */
  async ready(): Promise<void> {
    this.#check();
    while (this.#isFull()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#check();
    }
  }

  /** Everything written and on disk: the files one by one as they ended, now the directories. */
  async finish(): Promise<void> {
    await Promise.all(this.#running);
    this.#check();
    const directories = [...this.#directories, this.#root, dirname(this.#root)];
    await Promise.all(directories.map((path) => this.#syncDirectory(path)));
  }

  async #syncDirectory(path: string): Promise<void> {
    const handle = await open(path, "r");
    try {
      await this.#sync(handle);
    } finally {
      await handle.close();
    }
  }

  /** Give up: no file stays open. What is written so far stays. */
  async abandon(): Promise<void> {
    this.#current?.cancel(new Error("the writing was abandoned"));
    await Promise.all(this.#running);
  }

  #isFull(): boolean {
    return this.#pendingBytes > HIGH_WATER_BYTES || this.#running.size > MAX_OPEN_FILES;
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #written(bytes: number): void {
    this.#pendingBytes -= bytes;
    this.#wakeUp();
  }

  #settled(running: Promise<void>): void {
    this.#running.delete(running);
    this.#wakeUp();
  }

  #wakeUp(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  /** The server is not trusted with where we write. */
  #inside(path: string): string {
    const clean = normalize(path);
    if (path === "" || clean.startsWith("/") || clean.split("/").includes("..")) {
      throw new Error(`the archive holds the path ${JSON.stringify(path)}, outside its directory`);
    }
    return join(this.#root, clean);
  }
}

interface FileOptions {
  readonly mode: number;
  readonly owner: FileOwner | undefined;
  sync(handle: FileHandle): Promise<void>;
  onWritten(bytes: number): void;
}

/** One file: pieces are collected while a write is under way, and written together. */
class FileWrite {
  readonly #path: string;
  readonly #options: FileOptions;
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #ended = false;
  #cancelled: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(path: string, options: FileOptions) {
    this.#path = path;
    this.#options = options;
  }

  add(piece: Uint8Array): void {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    if (this.#isWorthAWrite()) this.#wakeUp();
  }

  end(): void {
    this.#ended = true;
    this.#wakeUp();
  }

  cancel(reason: Error): void {
    this.#cancelled = reason;
    this.#wakeUp();
  }

  async run(): Promise<void> {
    const { mode, owner, sync } = this.#options;
    const handle = await open(this.#path, "wx", mode);
    try {
      // The umask may have taken bits from any mode but the usual one.
      if (mode !== 0o600) await handle.chmod(mode);
      if (owner !== undefined) await handle.chown(owner.uid, owner.gid);
      await this.#writeAll(handle);
      await sync(handle);
    } finally {
      await handle.close();
    }
  }

  async #writeAll(handle: FileHandle): Promise<void> {
    for (;;) {
      while (!this.#isWorthAWrite() && !this.#ended && this.#cancelled === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      if (this.#cancelled !== undefined) throw this.#cancelled;
      const pieces = this.#pieces.splice(0, MAX_WRITE_BUFFERS);
      if (pieces.length === 0) return;
      const bytes = await writeFully(handle, pieces);
      this.#bytes -= bytes;
      this.#options.onWritten(bytes);
    }
  }

  #isWorthAWrite(): boolean {
    return this.#bytes >= WRITE_BYTES || this.#pieces.length >= MAX_WRITE_BUFFERS;
  }

  #wakeUp(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}

/** A write may stop short (a full disk shows at the next one): go on until all is taken. */
async function writeFully(handle: FileHandle, pieces: readonly Uint8Array[]): Promise<number> {
  const total = pieces.reduce((sum, piece) => sum + piece.length, 0);
  let rest = pieces;
  for (let done = 0; done < total; ) {
    const { bytesWritten } = await handle.writev(rest);
    done += bytesWritten;
    if (done < total) rest = skip(rest, bytesWritten);
  }
  return total;
}

function skip(pieces: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let left = bytes;
  return pieces.flatMap((piece) => {
    const gone = Math.min(left, piece.length);
    left -= gone;
    return gone === piece.length ? [] : [piece.subarray(gone)];
  });
}

/** `work`, of which no more than `limit` run at the same time; the others wait in line. */
function atMost<T>(limit: number, work: (item: T) => Promise<void>): (item: T) => Promise<void> {
  const line: (() => void)[] = [];
  let running = 0;
  return async (item) => {
    if (running < limit) running += 1;
    else await new Promise<void>((resolve) => line.push(resolve));
    try {
      await work(item);
    } finally {
      const next = line.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}
