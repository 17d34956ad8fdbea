/** Texts that are put into the log in the same moment share an entry: what it costs is paid once for all of them. */

interface Group {
  readonly items: string[];
  bytes: number;
  readonly taken: PromiseWithResolvers<bigint>;
}

/** Of one entry: what shares it waits for all of it. */
const MOST = { items: 256, bytes: 262_144 } as const;

export class SharedEntries {
  readonly #commit: (items: readonly string[]) => Promise<bigint>;
  #group: Group | undefined;

  /** `commit`: one entry, all or none; its index. */
  constructor(commit: (items: readonly string[]) => Promise<bigint>) {
    this.#commit = commit;
  }

  /** The index of the entry that it shares, and its place among the items. */
  async add(text: string, bytes: number): Promise<{ index: bigint; item: number }> {
    if (this.#group !== undefined && this.#group.bytes + bytes > MOST.bytes) this.flush();
    const group = this.#group ?? this.#begin();
    group.bytes += bytes;
    const item = group.items.push(text);
    if (item === MOST.items) this.flush();
    return { index: await group.taken.promise, item };
  }

  /** What came until now is an entry; what comes later is in another, behind it. */
  flush(): void {
    const group = this.#group;
    if (group === undefined) return;
    this.#group = undefined;
    this.#commit(group.items).then(group.taken.resolve, group.taken.reject);
  }

  #begin(): Group {
    const group = { items: [], bytes: 0, taken: Promise.withResolvers<bigint>() };
    this.#group = group;
    setImmediate(() => {
      if (this.#group === group) this.flush();
    });
    return group;
  }
}
