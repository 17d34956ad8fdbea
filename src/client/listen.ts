/** LISTEN that moves with the primary, and says when something may have been missed. */
import type { Clock } from "../clock/clock.ts";
import { tell } from "./call.ts";
import { Link } from "./link.ts";
import type { Settings } from "./options.ts";
import { identifier } from "./params.ts";
import type { Topology } from "./topology.ts";

export type Heard =
  /** It listens anew: what was sent meanwhile is lost, look for yourself. */
  { readonly kind: "gap" } | { readonly kind: "message"; readonly payload: string };

interface ListenOptions {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly channel: string;
  readonly signal: AbortSignal;
  readonly handler: (heard: Heard) => void;
  /** It listens for the first time. */
  readonly onListening: () => void;
}

/** Between two attempts. */
const REST_MS = 50;
/** Without news: is the primary still who it was? */
const LOOK_MS = 1000;

/** Listen until `signal` aborts. */
export async function listenOn(topology: Topology, options: ListenOptions): Promise<void> {
  const { clock, signal, handler, onListening } = options;
  let news = new AbortController();
  const wake = () => news.abort(null);
  signal.addEventListener("abort", wake, { once: true });
  topology.onPrimary.add(wake);
  let first = true;
  while (!signal.aborted) {
    const link = await open(topology, options);
    link?.on("end", wake);
    link?.on("notification", ({ payload = "" }) => tell(handler, { kind: "message", payload }));
    if (link !== undefined) {
      if (first) onListening();
      else tell(handler, { kind: "gap" });
      first = false;
    }
    while (link !== undefined && !link.lost && !signal.aborted && isAt(topology, link.at)) {
      news = new AbortController();
      await clock.sleep(LOOK_MS, news.signal);
    }
    link?.destroy();
    await clock.sleep(REST_MS, signal);
  }
  topology.onPrimary.delete(wake);
  signal.removeEventListener("abort", wake);
}

const isAt = (topology: Topology, at: Link["at"]): boolean => topology.primary?.at === at;

async function open(
  topology: Topology,
  { settings, channel }: ListenOptions,
): Promise<Link | undefined> {
  const at = topology.primary?.at;
  if (at === undefined) return undefined;
  const link = new Link(at, settings);
  try {
    await link.connect();
    await link.query(`listen ${identifier(channel)}`);
    return link;
  } catch {
    link.destroy(); // the next primary, or this one again
    return undefined;
  }
}
