/** A control store of node 1, and node 2 at its door: a login of its own, and who it says it is. */
import type pg from "pg";
import { nodePassword } from "../../../src/config/secrets.ts";
import type { Sender } from "../../../src/db/peer.ts";
import { overTcp, type TestNode, testNode } from "../../control/node.ts";

export interface Second {
  readonly node: TestNode;
  readonly second: pg.Client;
  readonly me: Sender;
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
