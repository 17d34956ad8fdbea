/** raft.sample: what the worker looks at on every tick. */
import type { StoreSample } from "../../../src/db/raft.ts";
import type { Durable } from "./learn-commit.ts";
import { lastIndex, termAt } from "./log.ts";
import { type AcceptorIdentity, hasVoice } from "./voice.ts";
import type { Volatile } from "./volatile.ts";

export function sampleOf(
  durable: Durable,
  volatile: Volatile,
  identity: AcceptorIdentity,
): StoreSample {
  const { state, cluster } = durable;
  // raft.members: itself only as what it may be.
  const votes = ({ node_id, voter }: (typeof cluster.members)[number]) =>
    voter && (node_id !== identity.nodeId || hasVoice(cluster, identity));
  const newest = cluster.epochs.at(-1);
  const last = lastIndex(durable);
  return {
    bootId: volatile.bootId,
    heard: volatile.heard,
    term: state.term,
    leaderId: state.leaderId,
    lastIndex: last,
    lastTerm: termAt(durable, last) ?? 0n,
    commitIndex: state.commitIndex,
    appliedIndex: state.appliedIndex,
    alarm: state.alarm,
    transferTerm: volatile.transferTerm,
    epoch: newest?.epoch ?? 0n,
    primaryId: newest?.node_id ?? undefined,
    leaseAsked: volatile.leaseAsked,
    members: cluster.members.map((member) => ({
      id: member.node_id,
      incarnation: member.incarnation,
      host: member.control_host,
      port: member.control_port,
      voter: votes(member),
    })),
    voters: cluster.members.filter(votes).map(({ node_id }) => node_id),
  };
}
