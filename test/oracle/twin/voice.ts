/** Who may vote, as its own store knows: the functions raft.is_admitted and raft.has_voice. */
import type { NodeId } from "../../../src/core/ids.ts";
import type { Cluster } from "./cluster.ts";

export interface AcceptorIdentity {
  readonly nodeId: NodeId;
  readonly clusterId: string;
  /** The incarnation of a life that the log must admit first. */
  readonly newcomer?: string;
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
