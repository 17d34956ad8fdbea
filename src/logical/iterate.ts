/** The stream as an async iterator: what is there is given without another promise. */
import type { ReplicationEvent } from "./events.ts";

interface Stream {
  recv(): Promise<ReplicationEvent | null>;
  shutdown(): Promise<void>;
}

const DONE = { done: true, value: undefined } as const;

/** `pull`: the next event if one is there. Leaving the loop early ends the stream. */
export function iterate(
  pull: () => ReplicationEvent | undefined,
  stream: Stream,
): AsyncIterator<ReplicationEvent> {
  return {
    next: () => {
      const value = pull();
      return value === undefined
        ? stream.recv().then((one) => (one === null ? DONE : { done: false as const, value: one }))
        : Promise.resolve({ done: false as const, value });
    },
    return: () => stream.shutdown().then(() => DONE),
  };
}
