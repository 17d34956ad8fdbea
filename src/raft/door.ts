/**
 * Through which proposals come into the log. It is shut while leadership is handed over: whoever is asked to lead must
 * hold all there is, or its voters refuse it, and nobody leads until the next timeout (Raft thesis §3.10).
 */
interface Waiting {
  readonly go: () => void;
  readonly refuse: (error: Error) => void;
}

export class Door {
  /** Undefined while it is open. */
  #waiting: Waiting[] | undefined;

  /** At once, or in its turn when the door opens; refused when the term ends before. */
  pass(go: () => void, refuse: (error: Error) => void): void {
    if (this.#waiting === undefined) go();
    else this.#waiting.push({ go, refuse });
  }

  shut(): void {
    this.#waiting ??= [];
  }

  open(): void {
    for (const { go } of this.#take()) go();
  }

  /** Nobody passes any more who waits. */
  end(error: Error): void {
    for (const { refuse } of this.#take()) refuse(error);
  }

  #take(): readonly Waiting[] {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    return waiting;
  }
}
