/** What may be done to the links between hosts, in one vocabulary for namespaces and for the proxy. */

/** A node by its id, or whoever is no node. */
export type Party = number | "clients";
export type Port = "control" | "data";

/**
 * What happens to packets: `drop` says nothing, `reset` answers, `loss` drops some of them at random (percent), `long`
 * drops those above a size (bytes).
 */
export type How = "drop" | "reset" | { readonly loss: number } | { readonly long: number };

/** One direction between two parties, all ports or one service. */
export interface Cut {
  readonly from: Party;
  readonly to: Party;
  readonly port?: Port;
  readonly how: How;
}

/** How a link carries what it carries; all of it seeded. */
export interface Shape {
  readonly from: Party;
  readonly to: Party;
  readonly port?: Port;
  /** Each piece waits so long, milliseconds, and up to `jitterMs` more. */
  readonly delayMs?: number;
  readonly jitterMs?: number;
  readonly bytesPerSecond?: number;
  /** The connection is reset after so many bytes. */
  readonly resetAfter?: number;
}

/** A cut in force. */
export interface Block {
  /** What it has stopped so far: packets, or in a proxy pieces of data and connections. */
  hits(): Promise<number>;
  lift(): Promise<void>;
}

export interface Network {
  readonly kind: "namespaces" | "proxy";
  /** Where others reach a node. */
  address(node: number): string;
  /** What the node's servers bind. */
  listen(node: number): string;
  /** Line of pg_hba.conf that lets clients in. */
  readonly clients: string;
  /** Program and arguments that make a command run on the node's host. */
  enter(node: number): readonly string[];
  /** Put all cuts in force together. */
  cut(cuts: readonly Cut[]): Promise<Block>;
  /** Make links slow or brittle; only a proxy can. */
  shape?(shapes: readonly Shape[]): Block;
  /** Pull the node's plug, and put it in again. */
  unplug(node: number): Promise<Block>;
  close(): Promise<void>;
}

/** Both directions between each of `some` and each of `others`. */
export function between(
  some: readonly Party[],
  others: readonly Party[],
  rest: Omit<Cut, "from" | "to">,
): Cut[] {
  return some.flatMap((a) =>
    others.flatMap((b) => [
      { ...rest, from: a, to: b },
      { ...rest, from: b, to: a },
    ]),
  );
}

/** A block that is the sum of several. */
export function together(blocks: readonly Block[]): Block {
  return {
    hits: async () =>
      (await Promise.all(blocks.map((one) => one.hits()))).reduce((a, b) => a + b, 0),
    lift: async () => {
      for (const one of blocks) await one.lift();
    },
  };
}
