/** Who may vote, and who is heard, as the own store knows: raft.is_admitted, raft.has_voice, raft.check_sender. */
import type { NodeId } from "../../../src/core/ids.ts";
import type { Sender } from "../../../src/db/peer.ts";
import type { Cluster } from "./cluster.ts";
import { SqlError } from "./sql-error.ts";

export interface AcceptorIdentity {
  readonly nodeId: NodeId;
  readonly clusterId: string;
  /** The incarnation of a life that the log must admit first. */
  readonly newcomer?: string;
  /** Whether a node that the log does not know has a login all the same: a member has introduced it. */
  readonly hasLogin?: (id: NodeId) => boolean;
}

const self = ({ members }: Cluster, { nodeId }: AcceptorIdentity) =>
  members.find(({ node_id }) => node_id === nodeId);

/** raft.is_admitted */
export function isAdmitted(cluster: Cluster, identity: AcceptorIdentity): boolean {
  const { newcomer } = identity;
  return newcomer === undefined || self(cluster, identity)?.incarnation === newcomer;
}

/** raft.has_voice */
export function hasVoice(cluster: Cluster, identity: AcceptorIdentity): boolean {
  return self(cluster, identity) !== undefined && isAdmitted(cluster, identity);
}

/** raft.check_leader: the same, and a member in a life that is new here, not in one that has ended. */
export function checkLeader(cluster: Cluster, identity: AcceptorIdentity, from: Sender): void {
  const ended = cluster.former.has(`${from.nodeId}/${from.incarnation}`);
  const known = cluster.members.find(({ node_id }) => node_id === from.nodeId)?.incarnation;
  const incarnation = ended ? from.incarnation : (known ?? from.incarnation);
  checkSender(cluster, identity, { ...from, incarnation });
}

/** raft.check_sender, without the login of members, which is the connection's affair. */
export function checkSender(
  { members, left }: Cluster,
  identity: AcceptorIdentity,
  { clusterId, nodeId, incarnation }: Sender,
): void {
  if (clusterId !== identity.clusterId) {
    throw new SqlError("RF008", `node ${nodeId} belongs to another cluster`);
  }
  const member = members.find(({ node_id }) => node_id === nodeId);
  if (member === undefined) {
    if (!left.has(nodeId) && identity.hasLogin?.(nodeId)) return;
    throw new SqlError("RF008", `node ${nodeId} is no member`);
  }
  if (member.incarnation !== null && member.incarnation !== incarnation) {
    throw new SqlError("RF008", `node ${nodeId} is not the incarnation this cluster knows`);
  }
}
