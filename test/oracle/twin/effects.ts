/** How a command of the replicated state is written: a value of its body, a refusal, a change with its event. */
import { parseLsn } from "../../../src/core/ids.ts";
import type { Cluster, Effect, EpochFacts, EventFacts, Member } from "./cluster.ts";

export type Body = Readonly<Record<string, unknown>>;
/** `index` is the entry's place in the log, `term` that of its leader. */
export type Command = (cluster: Cluster, body: Body, index: bigint, term: bigint) => Effect;

export const absent = (value: unknown): value is null | undefined =>
  value === null || value === undefined;
export const big = (value: unknown) => (absent(value) ? null : BigInt(value as string));
export const int = (value: unknown) => (absent(value) ? null : Number(value));
export const text = (value: unknown) => (absent(value) ? null : String(value));
export const lsnOf = (value: unknown) => (absent(value) ? null : parseLsn(String(value)));

export const newestOf = ({ epochs }: Cluster): EpochFacts | undefined => epochs.at(-1);
/** The number of the next request. */
export const nextRequest = ({ requests }: Cluster): bigint =>
  (requests.at(-1)?.request_id ?? 0n) + 1n;
export const refused = (cluster: Cluster, outcome: string): Effect => ({ cluster, outcome });

/** The same state with some of it changed, and an event about it. */
export function done(
  before: Cluster,
  changes: Partial<Cluster>,
  event?: Partial<EventFacts> & Pick<EventFacts, "event">,
): Effect {
  const cluster = { ...before, ...changes };
  if (event === undefined) return { cluster, outcome: "ok" };
  const epoch = newestOf(cluster)?.epoch ?? 0n;
  const noted = { node_id: null, epoch, from_state: null, to_state: null, ...event };
  return { cluster: { ...cluster, events: [...cluster.events, noted] }, outcome: "ok" };
}

export function withNewest(
  cluster: Cluster,
  changes: Partial<EpochFacts>,
): Pick<Cluster, "epochs"> {
  const newest = newestOf(cluster) as EpochFacts;
  return { epochs: [...cluster.epochs.slice(0, -1), { ...newest, ...changes }] };
}

export function withMember(cluster: Cluster, id: number | null, changes: Partial<Member>) {
  return {
    members: cluster.members.map((one) => (one.node_id === id ? { ...one, ...changes } : one)),
  };
}

export const memberOf = ({ members }: Cluster, id: number | null) =>
  members.find(({ node_id }) => node_id === id);

export const NO_EPOCH: EpochFacts = {
  epoch: 0n,
  state: "opened",
  cause: "",
  old_primary: null,
  node_id: null,
  timeline: null,
  from_lsn: null,
  from_epoch: null,
  old_fenced: false,
  switch_lsn: null,
  stamp_lsn: null,
  request_id: null,
  handover_to: null,
  handover_request: null,
  write_gap_ms: null,
};
