/** A control store of node 1, and node 2 at its door: a login of its own, and who it says it is. */
import type pg from "pg";
import { nodePassword } from "../../../src/config/secrets.ts";
import * as peer from "../../../src/db/peer.ts";
import type { Entry } from "../../../src/db/raft.ts";
import { overTcp, type TestNode, testNode } from "../../control/node.ts";

export interface Second {
  readonly node: TestNode;
  readonly second: pg.Client;
  readonly me: peer.Sender;
  close(): Promise<void>;
}

export async function openSecond(): Promise<Second> {
  const node = await testNode();
  try {
    await node.create();
    const { identity } = await node.start();
    const incarnation = "00000000-0000-4000-8000-000000000002";
    const me = { clusterId: identity.clusterId, nodeId: 2, incarnation };
    const second = await overTcp(node.config, "pgreplica_node_2", nodePassword(node.config, 2));
    const close = async () => {
      await second.end();
      await node.close();
    };
    return { node, second, me, close };
  } catch (error) {
    await node.close();
    throw error;
  }
}

/** The first `count` entries of term 1's leader. */
export function entries(count: number, body: Record<string, unknown> = {}): Entry[] {
  return Array.from({ length: count }, (_, at) => ({
    index: BigInt(at + 1),
    term: 1n,
    kind: "noop",
    client: "00000000-0000-4000-8000-000000000001",
    sequence: BigInt(at + 1),
    body: { at: "2026-01-01T00:00:00Z", ...body },
  }));
}

/** Node 2, which leads term 1, sends them to an empty log. */
export function append({ second, me }: Second, given: readonly Entry[]) {
  const from = { term: 1n, prevIndex: 0n, prevTerm: 0n, commit: 0n };
  return peer.appendEntries(second, me, { ...from, entries: given });
}
