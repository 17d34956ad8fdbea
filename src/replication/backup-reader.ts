/** Understands the copy stream of BASE_BACKUP (PostgreSQL 15 and newer): archives into files. */
import { ProtocolError } from "./errors.ts";
import { type TarEntry, type TarEvent, TarReader } from "./tar.ts";
import type { TreeWriter } from "./tree-writer.ts";

const NEW_ARCHIVE = 0x6e;
const DATA = 0x64;
const PROGRESS = 0x70;

/** The archive under way; paths in it are relative to `root`, which is empty for the main one. */
interface Archive {
  readonly name: string;
  readonly root: string;
  readonly tar: TarReader;
}

export class BackupReader {
  readonly #writer: TreeWriter;
  readonly #tablespaces: ReadonlySet<string>;
  #archive: Archive | undefined;
  #sawMain = false;
  #bytes = 0n;

  constructor(writer: TreeWriter, tablespaces: readonly string[]) {
    this.#writer = writer;
    this.#tablespaces = new Set(tablespaces);
  }

  /** Archive bytes received. */
  get bytes(): bigint {
    return this.#bytes;
  }

  /** Take one message of the copy; resolves when the next may be handed over. */
  async take(message: Uint8Array): Promise<void> {
    const [kind] = message;
    if (kind === DATA) await this.#takeData(message.subarray(1));
    else if (kind === NEW_ARCHIVE) await this.#beginArchive(message);
    else if (kind !== PROGRESS) throw new ProtocolError(`unknown backup message ${kind}`);
  }

  /** The copy is over. Throws when it was not whole. */
  finish(): void {
    this.#archive?.tar.finish();
    if (!this.#sawMain) throw new ProtocolError("the backup holds no base.tar");
  }

  async #takeData(bytes: Uint8Array): Promise<void> {
    if (this.#archive === undefined) throw new ProtocolError("data before the first archive");
    this.#bytes += BigInt(bytes.length);
    for (const event of this.#archive.tar.push(bytes)) await this.#handle(this.#archive, event);
    await this.#writer.ready();
  }

  /** Two texts: the archive's name, and where its tablespace lies on the source. */
  async #beginArchive(message: Uint8Array): Promise<void> {
    this.#archive?.tar.finish();
    const [name = ""] = Buffer.from(message).toString("utf8", 1).split("\0");
    this.#archive = { name, root: await this.#rootOf(name), tar: new TarReader() };
  }

  async #rootOf(archive: string): Promise<string> {
    if (archive === "base.tar") {
      this.#sawMain = true;
      return "";
    }
    const oid = /^([0-9]+)\.tar$/.exec(archive)?.[1] ?? "";
    if (!this.#tablespaces.has(oid)) throw new ProtocolError(`unknown archive ${archive}`);
    // Tablespaces come first: the main archive's own pg_tblspc follows, and gives the mode.
    await this.#writer.makeDirectory("pg_tblspc", 0o700);
    await this.#writer.makeDirectory(`pg_tblspc/${oid}`, 0o700);
    return `pg_tblspc/${oid}/`;
  }

  async #handle({ name, root }: Archive, event: TarEvent): Promise<void> {
    if (event.kind === "data") return this.#writer.write(event.bytes);
    if (event.kind === "end") return this.#writer.endFile();
    const { entry } = event;
    const path = `${root}${entry.path.replace(/^\.\//, "")}`;
    if (entry.kind === "file") return this.#writer.beginFile(path, entry.mode);
    if (entry.kind === "directory") return this.#writer.makeDirectory(path, entry.mode);
    if (!isTablespaceLink(entry, path)) {
      throw new ProtocolError(`${name} holds the symbolic link ${path} to ${entry.target}`);
    }
  }
}

/**
 * Its contents came in an archive of their own and lie where the link would be; or the tablespace
 * is younger than the backup: then the WAL makes it, as on any standby.
 */
function isTablespaceLink(entry: TarEntry, path: string): boolean {
  return entry.kind === "symlink" && /^pg_tblspc\/[0-9]+$/.test(path);
}
