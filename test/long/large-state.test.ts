/** A new node gets all that a cluster keeps by default, over real lanes and as a role with limits (H59). */
import { afterAll, beforeAll, expect, test } from "vitest";
import { monotonicClock } from "../../src/clock/clock.ts";
import { nodePassword } from "../../src/config/secrets.ts";
import { nodeRole } from "../../src/core/ids.ts";
import { silentLog } from "../../src/log/logger.ts";
import { Link, NO_ANSWER, type PeerAddress } from "../../src/raft/links.ts";
import { Snapshots } from "../../src/raft/snapshots.ts";
import { ownControlStore } from "../../src/worker/control-store.ts";
import { type TestNode, testNode } from "../control/node.ts";
import { until } from "../support/until.ts";

const KEPT = 1_000_000;
const MINUTES = 60_000;
const FILL = `
  insert into cluster.proposal (client, sequence, log_index, outcome)
  select gen_random_uuid(), 1, g, 'ok' from generate_series(1, ${KEPT}) as g;
  insert into cluster.entry (index, item, term, data, node_id, at, number, total_bytes)
  select g, 1, 1, repeat(md5(g::text), 32), 1, now(), g, g * 1024 from generate_series(1, ${KEPT}) as g;
  update raft.hard_state
     set last_index = ${KEPT}, last_term = 1, commit_index = ${KEPT}, applied_index = ${KEPT},
         snapshot_index = ${KEPT}, snapshot_term = 1, current_term = 1`;
const CONTENTS = `
  select (select count(*)::integer from cluster.proposal) as proposals,
         (select count(*)::integer from cluster.entry) as items,
         (select sum(hashtextextended(p::text, 0)) from cluster.proposal as p) as all_proposals,
         (select sum(hashtextextended(e::text, 0)) from cluster.entry as e) as all_items`;

let leader: TestNode;
let newcomer: TestNode;
const end = new AbortController();

beforeAll(async () => {
  leader = await testNode();
  const { clusterId, peers } = leader.config;
  newcomer = await testNode({ clusterId, peers, node: { id: 2, name: "node2" } });
  for (const node of [leader, newcomer]) {
    await node.create();
    await node.start();
  }
  await leader.sql(FILL);
}, 30 * MINUTES);
afterAll(async () => {
  end.abort();
  await newcomer?.close();
  await leader?.close();
});

function link(address: PeerAddress): Link {
  return new Link(address, {
    me: sender(),
    clock: monotonicClock,
    log: silentLog,
    signal: end.signal,
    onLost: () => undefined,
    onHello: () => undefined,
    onIntroduced: () => undefined,
  });
}

const sender = () => ({
  clusterId: leader.config.clusterId,
  nodeId: 1,
  incarnation: "00000000-0000-4000-8000-000000000001",
});

test("a million proposals and a GiB in a million items reach a node that has nothing", {
  timeout: 40 * MINUTES,
}, async () => {
  const before = await leader.sql(CONTENTS);
  expect(before).toMatchObject([{ proposals: KEPT, items: KEPT }]);
  const own = { ...ownControlStore(leader.config, ""), id: 1 };
  const { host, port } = newcomer.config.control;
  const password = nodePassword(newcomer.config, 1);
  const other = link({ id: 2, host, port, user: nodeRole(1), password });
  const links = new Map([[1, link(own)]]);
  const snapshots = new Snapshots({ me: sender(), term: 1n, links, log: silentLog });
  const began = monotonicClock.now();
  const reply = await until("its lanes are open", { limitMs: 35 * MINUTES }, async () => {
    const said = await snapshots.send(other, end.signal);
    return said !== NO_ANSWER && said;
  });
  console.log(`${Math.round((monotonicClock.now() - began) / 1000)} s`);
  expect(reply).toMatchObject({ reason: "installed", applied_index: BigInt(KEPT) });
  expect(await newcomer.sql(CONTENTS)).toEqual(before);
});
