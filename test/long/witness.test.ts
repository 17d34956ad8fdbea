/** Two data servers and a witness, founded so: any one of the three may die, and nothing acknowledged goes with it. */
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { processesBelow } from "../support/cluster.ts";
import { untilHealthy } from "../support/health.ts";
import { useMembers } from "../support/members.ts";
import { signalTree, untilGone } from "../support/processes.ts";
import { rows, value } from "../support/sql.ts";
import { until } from "../support/until.ts";
import { createWriterTable, startWriter } from "../support/writer.ts";

vi.setConfig({ testTimeout: 150_000 });

const WITNESS = 3;
const members = useMembers(3, { witnesses: [WITNESS] });
const uriOf = (id: number) => members.node(id).data.uri;
const wellOff = () => untilHealthy(members.present(1, 2), 90_000);

async function kill(id: number): Promise<void> {
  const below = join(members.all.top, `node${id}`);
  await untilGone(
    signalTree(() => processesBelow(below), "SIGKILL"),
    10_000,
  );
}

test("it commits on both, with three voters and the mode that two data servers are given", async () => {
  const { primary } = await wellOff();
  const [row] = await rows(members.control(WITNESS), "select * from pg_replica.cluster()");
  expect(row).toMatchObject({ members: 3, voters: 3, quorum: 2, primary_id: primary });
  expect(row?.commit_rule).toMatch(/^ANY 1 \(pgr_1_\w+, pgr_2_\w+\)$/);
  expect(await value(members.control(WITNESS), "select mode from cluster.state")).toBe("available");
});

test("the primary dies: the witness's vote is enough for the other, which holds every row", async () => {
  const { primary, standbys } = await wellOff();
  const other = standbys[0] ?? 0;
  await createWriterTable(uriOf(primary));
  const writer = startWriter({ hosts: [uriOf(1), uriOf(2)], everyMs: 5 });
  await writer.untilAcknowledged(200, 20_000);
  await kill(primary);
  // Alone: there is nobody else to ask.
  await writer.untilAcknowledged(50, 30_000);
  await members.run(primary);
  expect((await wellOff()).primary).toBe(other);
  await writer.untilAcknowledged(50, 30_000);
  await writer.stop();
  for (const id of [1, 2]) {
    await until(`node ${id} has them all`, { limitMs: 10_000 }, async () => {
      const { lost, invented } = await writer.check(uriOf(id));
      return lost.length === 0 && invented.length === 0;
    });
  }
});

test("the witness dies: nothing stops; the standby dies too: no majority, and nothing is promoted", async () => {
  const { primary, standbys } = await wellOff();
  const standby = standbys[0] ?? 0;
  await kill(WITNESS);
  await rows(uriOf(primary), "create table without_witness (n integer)");
  await kill(standby);
  await until("it takes no writes", { limitMs: 20_000 }, async () => {
    const text = "select writable from pg_replica.cluster()";
    return (await value(members.control(primary), text)) === "false";
  });
  await members.run(WITNESS);
  await until("two of three go on", { limitMs: 60_000 }, async () => {
    const write = rows(uriOf(primary), "insert into without_witness values (1)");
    return await write.then(
      () => true,
      () => false,
    );
  });
  await members.run(standby);
  expect((await wellOff()).primary).toBe(primary);
  expect(await value(uriOf(standby), "select count(*) > 0 from without_witness")).toBe("true");
});
