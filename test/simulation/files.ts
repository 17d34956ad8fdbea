/** A file system in memory: folders, texts, and now and then an object that stands for a whole binary file. */

export interface VirtualFile {
  text: string;
  /** Another one after each change. */
  version?: number;
  /** What a binary file means; `copy` is called when the folder it lies in is copied. */
  object?: unknown;
}

export function missing(path: string): Error {
  return Object.assign(new Error(`ENOENT: no such file or directory, '${path}'`), {
    code: "ENOENT",
  });
}

export class Files {
  readonly #files = new Map<string, VirtualFile>();
  #writes = 0;
  readonly #folders = new Map<string, Set<string>>([["/", new Set()]]);

  has(path: string): boolean {
    return this.#files.has(path) || this.#folders.has(path);
  }

  isFolder(path: string): boolean {
    return this.#folders.has(path);
  }

  file(path: string): VirtualFile {
    const found = this.#files.get(path);
    if (found === undefined) throw missing(path);
    return found;
  }

  find(path: string): VirtualFile | undefined {
    return this.#files.get(path);
  }

  write(path: string, text: string, object?: unknown): void {
    this.#enter(path);
    this.#writes += 1;
    const version = this.#writes;
    this.#files.set(path, object === undefined ? { text, version } : { text, version, object });
  }

  version(path: string): number {
    return this.#files.get(path)?.version ?? 0;
  }

  makeFolder(path: string): void {
    if (this.#folders.has(path)) return;
    this.#enter(path, true);
    this.#folders.set(path, new Set());
  }

  list(path: string): string[] {
    const names = this.#folders.get(path);
    if (names === undefined) throw missing(path);
    return [...names].sort();
  }

  remove(path: string): void {
    const names = this.#folders.get(path);
    if (names !== undefined) for (const name of [...names]) this.remove(`${path}/${name}`);
    this.#folders.delete(path);
    this.#files.delete(path);
    this.#folders.get(parentOf(path))?.delete(nameOf(path));
  }

  rename(from: string, to: string): void {
    if (!this.has(from)) throw missing(from);
    if (this.#folders.has(to) && (this.#folders.get(to)?.size ?? 0) > 0 && this.isFolder(from)) {
      throw Object.assign(new Error(`ENOTEMPTY: '${to}'`), { code: "ENOTEMPTY" });
    }
    this.remove(to);
    this.#move(from, to);
    this.#folders.get(parentOf(from))?.delete(nameOf(from));
  }

  /** Every file below a folder, for images of a whole node. */
  under(path: string): [string, VirtualFile][] {
    return [...this.#files].filter(([name]) => name.startsWith(`${path}/`));
  }

  #move(from: string, to: string): void {
    const file = this.#files.get(from);
    if (file !== undefined) {
      this.#enter(to);
      this.#files.set(to, file);
      this.#files.delete(from);
      return;
    }
    const names = this.list(from);
    this.makeFolder(to);
    for (const name of names) this.#move(`${from}/${name}`, `${to}/${name}`);
    this.#folders.delete(from);
  }

  #enter(path: string, makeParents = true): void {
    const parent = parentOf(path);
    if (!this.#folders.has(parent)) {
      if (!makeParents) throw missing(parent);
      this.makeFolder(parent);
    }
    this.#folders.get(parent)?.add(nameOf(path));
  }
}

function parentOf(path: string): string {
  const at = path.lastIndexOf("/");
  return at <= 0 ? "/" : path.slice(0, at);
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
