/** Random commands for the log: mostly such as fit the replicated state, some that must be refused. */
import { formatLsn } from "../../src/core/ids.ts";
import type { Random } from "../support/random.ts";
import { incarnationOf } from "./store.ts";
import type { Cluster } from "./twin/cluster.ts";
import { COMMANDS } from "./twin/cluster-commands.ts";

export interface Proposal {
  readonly kind: string;
  readonly body: Readonly<Record<string, unknown>>;
}

type Body = Readonly<Record<string, unknown>>;
const AT = "2026-01-01T00:00:00Z";

const lsn = (random: Random) => formatLsn(BigInt(random.int(1, 40)) << 20n);

const MAKERS: Readonly<Record<string, (random: Random, cluster: Cluster) => Body>> = {
  noop: (random) => ({ node_id: random.int(1, 3) }),
  register: (random) => {
    const node_id = random.int(1, 5);
    const incarnation = incarnationOf(random.chance(0.9) ? node_id : 9);
    return { node_id, incarnation, pg_version: "18" };
  },
  readmit: (random, { members }) => {
    const node_id = random.int(1, 5);
    const known = members.find((one) => one.node_id === node_id)?.incarnation;
    const replaces = random.chance(0.8) ? (known ?? null) : random.uuid();
    const body = { node_id, incarnation: incarnationOf(random.int(1, 9)), replaces };
    if (random.chance(0.6)) return body;
    const place = { control_host: `other${node_id}`, control_port: random.int(5433, 5435) };
    const data = { data_host: random.chance(0.8) ? `other${node_id}` : null };
    const port = data.data_host === null ? null : 5432;
    return { ...body, ...place, ...data, data_port: port, key: random.uuid(), by: "op" };
  },
  voter: (random, { members }) => {
    const node_id = random.int(1, 5);
    const known = members.find((one) => one.node_id === node_id)?.incarnation;
    return { node_id, incarnation: random.chance(0.9) ? known : random.uuid() };
  },
  add_member: (random, { requests }) => {
    const node_id = random.int(1, 7);
    const witness = random.chance(0.3);
    const port = random.int(5432, 5435);
    return {
      key: requests.at(random.int(0, 5))?.key ?? random.uuid(),
      by: "op",
      node_id,
      name: `node${random.chance(0.9) ? node_id : random.int(1, 5)}`,
      incarnation: incarnationOf(random.int(1, 9)),
      control_host: random.chance(0.8) ? `new${node_id}` : "host2",
      control_port: 5433,
      data_host: witness ? null : `new${node_id}`,
      data_port: witness ? null : port,
      voter: random.chance(0.8),
      priority: random.int(0, 200),
    };
  },
  leave: (random) => ({ node_id: random.int(1, 7), key: random.uuid(), by: "op", force: false }),
  remove: (random, { members }) => {
    const leaving = members.find((one) => one.leaving)?.node_id;
    return { node_id: random.chance(0.8) ? (leaving ?? 3) : random.int(1, 7) };
  },
  move: (random, { members }) => {
    const node_id = random.int(1, 6);
    const member = members.find((one) => one.node_id === node_id);
    const witness = random.chance(0.9) ? member?.data_port === null : random.chance(0.5);
    return {
      node_id,
      incarnation: random.chance(0.9) ? (member?.incarnation ?? null) : random.uuid(),
      control_host: random.chance(0.8) ? `moved${node_id}` : "host2",
      control_port: 5433,
      data_host: witness ? null : `moved${node_id}`,
      data_port: witness ? null : 5432,
    };
  },
  set_member: (random) => ({
    node_id: random.int(1, 6),
    by: "op",
    ...(random.chance(0.5) ? { priority: random.int(0, 200) } : {}),
    ...(random.chance(0.5) ? { promotable: random.chance(0.7) } : {}),
    ...(random.chance(0.5) ? { sync: random.chance(0.7) } : {}),
    ...(random.chance(0.5) ? { clone_from: random.chance(0.7) } : {}),
  }),
  found: (random) => ({
    node_id: random.int(1, 4),
    system_identifier: "7000000000000000001",
    mode: random.pick(["quorum", "available", "async"]),
  }),
  open_epoch: (random, cluster) => ({
    epoch: String(epochNear(random, cluster) + 1n),
    cause: random.pick(["node_gone", "switchover"]),
    reason: "node 1 is gone: 'it' \"said\" \u00fc",
    ...(random.chance(0.3) ? { request_id: "1" } : {}),
  }),
  appoint: (random, cluster) => ({
    epoch: String(epochNear(random, cluster)),
    node_id: random.int(1, 3),
    timeline: random.int(2, 3 + cluster.epochs.length),
    from_epoch: String(epochNear(random, cluster)),
    from_lsn: lsn(random),
    ...(random.chance(0.7) ? { old_fenced: random.chance(0.5) } : {}),
    reason: "it has the most WAL",
  }),
  promoted: (random, cluster) => ({
    epoch: String(epochNear(random, cluster)),
    switch_lsn: lsn(random),
    stamp_lsn: lsn(random),
  }),
  serving: (random, cluster) => ({
    epoch: String(epochNear(random, cluster)),
    write_gap_ms: random.chance(0.5) ? random.int(50, 900) : null,
  }),
  hand_over: (random, cluster) => ({
    epoch: String(epochNear(random, cluster)),
    to: random.int(1, 3),
    request_id: "1",
  }),
  keep_primary: (random, cluster) => ({
    epoch: String(epochNear(random, cluster)),
    reason: "the hand-over took too long",
  }),
  attached: (random) => ({ node_id: random.int(1, 5) }),
  rule_next: (random, cluster) => ({
    version: String(cluster.ruleVersion + BigInt(random.chance(0.8) ? 0 : 1)),
    k: random.int(0, 2),
    cohort: random.shuffled([1, 2, 3]).slice(0, random.int(1, 3)),
  }),
  rule: (random, cluster) => ({
    version: String(cluster.ruleVersion + BigInt(random.chance(0.8) ? 0 : 1)),
  }),
  rule_back: (random, cluster) => ({
    version: String(cluster.ruleVersion + BigInt(random.chance(0.8) ? 0 : 1)),
  }),
  // Seldom for real: afterwards this is a cluster of one.
  recover: (random) => ({
    node_id: random.chance(0.03) ? random.int(1, 3) : 9,
    key: random.uuid(),
    by: "op",
    reason: "the others burnt down",
    lost_bytes: 0,
  }),
  formed: () => ({}),
  pause: (random) => (random.chance(0.5) ? { why: "work", by: "op" } : {}),
  resume: () => ({ by: "op" }),
  request: (random, cluster) => ({
    key: cluster.requests.at(random.int(0, 5))?.key ?? random.uuid(),
    kind: random.pick(["failover", "switchover"]),
    args: {
      target: random.chance(0.5) ? random.int(1, 3) : null,
      allow_data_loss: false,
      not_before: null,
      delay_ms: 0,
    },
    by: "op",
  }),
  request_state: (random) => ({
    request_id: String(random.int(1, 3)),
    state: random.pick(["running", "done", "failed"]),
    ...(random.chance(0.5) ? { from_node: 1, to_node: 2, epoch: "2" } : {}),
    ...(random.chance(0.3) ? { write_gap_ms: 140 } : { reason: "so it is", sqlstate: "RF010" }),
  }),
  cancel: (random) => ({ request_id: String(random.int(1, 3)) }),
  event: (random) => ({
    event: "member_state",
    node_id: random.chance(0.8) ? random.int(1, 3) : null,
    from_state: "streaming",
    to_state: "stopped",
    reason: "seen",
    detail: { n: random.int(1, 9), nested: { b: [1, "two", null, true], a: {} } },
  }),
  entry: (random) => ({
    data: ["one", '{"two": "\u00fc\\"}', ""].slice(0, random.int(1, 3)),
    asked: random.int(1, 3),
    ...(random.chance(0.3) ? { term: String(random.int(1, 4)) } : {}),
    ...(random.chance(0.3) ? { request_id: `order ${random.int(1, 9)}` } : {}),
    ...(random.chance(0.4) ? { since: String(random.int(0, 40)) } : {}),
  }),
  kv_set: (random, { kv }) => {
    const key = random.pick(["a", "b/1", "b/2", "\u00fc"]);
    const newest = kv.find((row) => row.key === key && row.replaced_by === null);
    const version = newest === undefined || newest.value === null ? 0n : newest.version;
    return {
      key,
      value: random.chance(0.7) ? `value ${random.int(1, 99)}` : null,
      ...(random.chance(0.5)
        ? { expected_version: String(random.chance(0.7) ? version : 1n) }
        : {}),
    };
  },
  kv_compact: () => ({}),
  kv_reset: () => ({}),
  set: (random) => ({
    name: `kept_${random.pick(["entries", "entry_bytes", "proposals", "events", "requests"])}`,
    value: random.pick(["2", "20", "2000000", null]),
    by: "op",
  }),
  forget: (random, { entries, events, eventsThrough }) => ({
    entries: String(entries.at(random.int(-3, 2))?.index ?? 0n),
    proposals: String(random.int(0, 30)),
    events: String(eventsThrough + random.int(0, events.length)),
    requests: String(random.int(0, 5)),
  }),
};

/** The kinds random commands are drawn from: all there are. */
export const KINDS: readonly string[] = Object.keys(MAKERS);

export function randomCommand(random: Random, cluster: Cluster): Proposal {
  const kind = cluster.epochs.length === 0 && random.chance(0.3) ? "found" : random.pick(KINDS);
  return { kind, body: { at: AT, ...MAKERS[kind]?.(random, cluster) } };
}

/** A kind no version knows: apply stops there. */
export const POISON: Proposal = { kind: "poison", body: { at: AT } };

/** Kinds the twin applies and this generator does not draw. */
export const FORGOTTEN: readonly string[] = Object.keys(COMMANDS).filter(
  (kind) => !KINDS.includes(kind),
);

function epochNear(random: Random, { epochs }: Cluster): bigint {
  const newest = epochs.at(-1)?.epoch ?? 0n;
  if (random.chance(0.85)) return newest;
  return newest + BigInt(random.int(-1, 1));
}
