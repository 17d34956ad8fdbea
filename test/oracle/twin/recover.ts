/** cluster.apply_recover: one member goes on alone. */
import type { EpochFacts, Member, RequestFacts } from "./cluster.ts";
import {
  type Command,
  done,
  int,
  memberOf,
  NO_EPOCH,
  newestOf,
  nextRequest,
  refused,
  withNewest,
} from "./effects.ts";

export const recover: Command = (cluster, body) => {
  const newest = newestOf(cluster);
  if (newest === undefined) return refused(cluster, "not_founded");
  const id = int(body.node_id);
  const member = memberOf(cluster, id);
  if (member === undefined || member.data_port === null) return refused(cluster, "unknown_member");
  const old = cluster.epochs.findLast(({ node_id }) => node_id !== null)?.node_id ?? null;
  const epoch = newest.epoch + 1n;
  const well = { voter: true, promotable: true, leaving: false, state: "attached" } as const;
  const alone: Member = { ...member, ...well };
  const ended = cluster.requests.map((row) =>
    row.state === "waiting" || row.state === "running" ? { ...row, state: "failed" as const } : row,
  );
  const asked: RequestFacts = {
    request_id: nextRequest(cluster),
    key: String(body.key),
    kind: "recover",
    state: "running",
    args: { target: null, allow_data_loss: true, not_before: null, delay_ms: 0 },
    from_node: old,
    to_node: null,
    epoch,
    sqlstate: null,
    write_gap_ms: null,
  };
  const { epochs } = withNewest(cluster, { state: "superseded" });
  const opened: EpochFacts = {
    ...NO_EPOCH,
    epoch,
    cause: "recovered",
    old_primary: old,
    request_id: asked.request_id,
  };
  const out = cluster.members.filter((one) => one !== member);
  const changes = {
    left: new Map([...cluster.left, ...out.map((one) => [one.node_id, one.incarnation] as const)]),
    ruleVersion: cluster.ruleVersion + 1n,
    rule: { k: 0, cohort: [member.node_id] },
    nextRule: null,
    pausedWhy: null,
    formed: true,
    members: [alone],
    requests: [...ended, asked],
    epochs: [...epochs, opened],
  };
  const event = { event: "cluster_recovered", node_id: id, from_state: newest.state };
  return { ...done(cluster, changes, { ...event, to_state: "opened" }), pledge: epoch };
};
