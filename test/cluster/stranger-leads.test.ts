/**
 * A founder loses its control store while one that joined later leads: the file it starts from does not name that one,
 * and only who leads can readmit it (H56).
 */
import { rename } from "node:fs/promises";
import { dirname } from "node:path";
import { expect, test, vi } from "vitest";
import { processesBelow } from "../support/cluster.ts";
import { untilHealthy } from "../support/health.ts";
import { full, useMembers } from "../support/members.ts";
import { signalTree, untilGone } from "../support/processes.ts";
import { rows, value } from "../support/sql.ts";
import { until } from "../support/until.ts";

vi.setConfig({ testTimeout: 150_000 });

const members = useMembers(4, { founders: 3 });
const { control, present } = members;
const everybody = () => present(1, 2, 3, 4);

test("it is let in again, as another life, by a leader that it has never heard of", async () => {
  await members.join(4, 2);
  await members.untilDone("add_node", 4, 2);
  await untilHealthy(everybody(), 30_000);
  await rows(control(2), "select pg_replica.switchover('node4')", [], { answerMs: 30_000 });
  await until("node 4 leads too", { limitMs: 30_000 }, async () => {
    const { primary, leader } = await untilHealthy(everybody());
    return primary === 4 && leader === 4;
  });
  const life = "select incarnation from cluster.member where node_id = 1";
  const before = await value(control(2), life);

  const { control: store, data } = members.node(1);
  await untilGone(
    signalTree(() => processesBelow(dirname(data.dir)), "SIGKILL"),
    10_000,
  );
  await rename(store.dir, `${store.dir}.lost`);
  await members.run(1);

  await until("its new life votes", { limitMs: 60_000 }, async () => {
    const [row] = await members.seenBy(4);
    return (await value(control(2), life)) !== before && row?.voter === true;
  });
  expect(await untilHealthy(everybody(), 60_000)).toMatchObject({ primary: 4 });
  expect(await members.seenBy(1)).toEqual([1, 2, 3, 4].map(full));
});
