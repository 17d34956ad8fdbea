/** History that stays bounded: cluster.apply_set, cluster.forgettable and cluster.apply_forget. */
import type { Cluster, EntryFacts } from "./cluster.ts";
import { big, type Command, done, newestOf, text } from "./effects.ts";

/** cluster.setting_known */
const DEFAULTS = {
  kept_entries: 1_000_000,
  kept_entry_bytes: 1_073_741_824,
  kept_proposals: 1_000_000,
  kept_events: 100_000,
  kept_requests: 10_000,
} as const;

/** A command forgets no more of each. */
const MOST = 2000;

export const set: Command = (cluster, body) => {
  const [name, value] = [String(body.name), text(body.value)];
  const settings = new Map([...cluster.settings].filter(([one]) => one !== name));
  const from_state = cluster.settings.get(name) ?? null;
  if (value !== null) settings.set(name, value);
  return done(cluster, { settings }, { event: "setting_changed", from_state, to_state: value });
};

export const forget: Command = (cluster, body, index) => {
  const newestEntry = cluster.entries.at(-1)?.index ?? 1n;
  const entries = least(big(body.entries) ?? 0n, newestEntry - 1n);
  const proposals = least(big(body.proposals) ?? 0n, index - 1n);
  const lastEvent = cluster.eventsThrough + cluster.events.length;
  const events = Math.max(cluster.eventsThrough, Math.min(Number(body.events), lastEvent - 1));
  const newestRequest = cluster.requests.at(-1)?.request_id;
  return done(cluster, {
    entries: cluster.entries.filter((one) => one.index > entries),
    proposals: new Map([...cluster.proposals].filter(([, one]) => one.index > proposals)),
    events: cluster.events.slice(events - cluster.eventsThrough),
    eventsThrough: events,
    requests: cluster.requests.filter(
      ({ request_id, state }) =>
        request_id > (big(body.requests) ?? 0n) || request_id === newestRequest || isOpen(state),
    ),
    entriesThrough: greatest(cluster.entriesThrough, entries),
    proposalsThrough: greatest(cluster.proposalsThrough, proposals),
  });
};

/** Made before what is forgotten: whether it was applied nobody can tell any more. */
export const isTooLate = ({ proposalsThrough }: Cluster, since: bigint | null): boolean =>
  since !== null && since < proposalsThrough;

export function forgettable(cluster: Cluster, applied: bigint): Record<string, string> | null {
  const { eventsThrough, proposalsThrough, entriesThrough, requests } = cluster;
  const entries = entriesBeyond(cluster);
  const proposals = surplus(Number(applied - proposalsThrough), kept(cluster, "kept_proposals"));
  const events = surplus(cluster.events.length, kept(cluster, "kept_events"));
  const finished = requests.find(({ state }) => !isOpen(state))?.request_id;
  const newest = requests.at(-1)?.request_id;
  const range = finished === undefined || newest === undefined ? 0 : Number(newest - finished) + 1;
  const over = surplus(range, kept(cluster, "kept_requests"));
  if (entries === 0n && proposals + events + over === 0) return null;
  return {
    entries: `${greatest(entries, entriesThrough)}`,
    proposals: `${proposalsThrough + BigInt(proposals)}`,
    events: `${eventsThrough + events}`,
    requests: `${finished === undefined ? 0n : finished - 1n + BigInt(over)}`,
  };
}

/** cluster.view: nothing is forgotten while a primary is being made. */
export const forgetNow = (cluster: Cluster, applied: bigint) =>
  newestOf(cluster)?.state === "serving" ? forgettable(cluster, applied) : null;

function entriesBeyond(cluster: Cluster): bigint {
  const { entries } = cluster;
  const [oldest, newest] = [entries[0], entries.at(-1)];
  if (oldest === undefined || newest === undefined) return 0n;
  const [items, bytes] = [kept(cluster, "kept_entries"), kept(cluster, "kept_entry_bytes")];
  const many = surplus(newest.number - oldest.number + 1, items) > 0;
  const large = newest.total_bytes - oldest.total_bytes > Math.floor((bytes * 11) / 10);
  if (!many && !large) return 0n;
  const bound = entries[MOST - 1] ?? newest;
  const beyond = (one: EntryFacts) =>
    newest.number - one.number >= items || newest.total_bytes - one.total_bytes >= bytes;
  const last = entries.filter(
    (one, at) => one.index <= bound.index && entries[at + 1]?.index !== one.index && beyond(one),
  );
  return last.at(-1)?.index ?? 0n;
}

const kept = ({ settings }: Cluster, name: keyof typeof DEFAULTS): number =>
  Number(settings.get(name) ?? DEFAULTS[name]);
/** cluster.surplus */
const surplus = (there: number, most: number): number =>
  there - most > Math.min(1000, Math.floor(most / 10)) ? Math.min(there - most, MOST) : 0;
const isOpen = (state: string) => state === "waiting" || state === "running";
const least = (a: bigint, b: bigint) => (a < b ? a : b);
const greatest = (a: bigint, b: bigint) => (a > b ? a : b);
