/** What somebody asks of the cluster under one key, by handing it in to whoever leads, as often as they like. */
import type { Cluster } from "./cluster.ts";

export interface Asked {
  readonly key: string;
  readonly kind: string;
  /** Without what a call adds to it: its key, when it is handed in, and since when. */
  readonly body: Readonly<Record<string, unknown>>;
}

export class Ask {
  readonly #cluster: Cluster;
  readonly #asked: Asked;
  #since: string | undefined;

  constructor(cluster: Cluster, asked: Asked) {
    this.#cluster = cluster;
    this.#asked = asked;
  }

  /** To every store that takes itself for the leader's; whether there was one. */
  handIn(): boolean {
    const { key, kind, body } = this.#asked;
    let handed = false;
    for (const { store } of this.#cluster.hosts.values()) {
      if (store === undefined || store.proc.dead) continue;
      if (store.acceptor.state.leaderId !== store.node) continue;
      // Where its outcome may be forgotten by then, a retry is refused (cluster.apply).
      this.#since ??= `${store.acceptor.state.appliedIndex}`;
      store.handIn(key, kind, { key, at: store.displayTime(), since: this.#since, ...body });
      handed = true;
    }
    return handed;
  }
}
