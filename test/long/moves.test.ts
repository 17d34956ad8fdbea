/** Nodes are reached elsewhere after a restart: the others learn it by themselves, and nothing acknowledged is lost. */
import { readFile, writeFile } from "node:fs/promises";
import { expect, test, vi } from "vitest";
import { createPool } from "../../src/client/index.ts";
import { endWorker } from "../support/by-hand.ts";
import { clientOptions } from "../support/client-load.ts";
import type { ClusterView } from "../support/cluster.ts";
import { onPrimary, untilHealthy } from "../support/health.ts";
import { useMembers } from "../support/members.ts";
import { exitOf } from "../support/programs.ts";
import { rows, value } from "../support/sql.ts";
import { until } from "../support/until.ts";
import { createWriterTable, startWriter } from "../support/writer.ts";

vi.setConfig({ testTimeout: 240_000 });

const IDS = [1, 2, 3] as const;
/** Within the ports that are this file's own. */
const FURTHER = 10;
const members = useMembers(3);
/** How often each node has moved. */
const moved = new Map<number, number>();

function placed(id: number) {
  const node = members.node(id);
  const on = FURTHER * (moved.get(id) ?? 0);
  const at = <T extends { readonly uri: string; readonly port: number }>(server: T): T => {
    const port = server.port + on;
    return { ...server, port, uri: server.uri.replace(`:${server.port}/`, `:${port}/`) };
  };
  return { ...node, data: at(node.data), control: at(node.control) };
}

/** The cluster where it is now. */
function view(): ClusterView {
  const nodes = IDS.map(placed);
  return {
    size: nodes.length,
    nodes,
    node: placed,
    dataUris: () => nodes.map(({ data }) => data.uri),
    controlUris: () => nodes.map(({ control }) => control.uri),
    refresh: () => Promise.resolve(),
  };
}

type NodeFile = Record<"data" | "control", { host: string; port: number; listen?: string }> & {
  peers: { id: number; host: string; port: number; data_port: number }[];
};

async function edit(id: number, change: (file: NodeFile) => void): Promise<void> {
  const path = members.all.configOf(id);
  const file: NodeFile = JSON.parse(await readFile(path, "utf8"));
  change(file);
  await writeFile(path, JSON.stringify(file));
}

/** In the files of `known`: where `id` is. */
async function writePlace(id: number, known: readonly number[]): Promise<void> {
  const { data, control } = placed(id);
  for (const by of known) {
    await edit(by, (file) => {
      if (by === id) {
        file.data.port = data.port;
        file.control.port = control.port;
      }
      for (const peer of file.peers.filter((one) => one.id === id)) {
        Object.assign(peer, { port: control.port, data_port: data.port });
      }
    });
  }
}

async function stop(id: number): Promise<void> {
  const worker = members.workers.get(id);
  const { exitCode, stderr } = await members.all.stop(id);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  if (worker !== undefined) await exitOf(worker);
}

/** Stopped, given other ports in its own file alone, started. */
async function move(id: number): Promise<void> {
  await stop(id);
  moved.set(id, (moved.get(id) ?? 0) + 1);
  await writePlace(id, [id]);
  await members.run(id);
}

async function expectKnown(): Promise<void> {
  const text = "select node_id, port, control_port from pg_replica.members()";
  const places = IDS.map(placed).map(({ id, data, control }) => {
    return { node_id: id, port: data.port, control_port: control.port };
  });
  for (const id of IDS) expect(await rows(placed(id).control.uri, text)).toEqual(places);
}

async function killDataServer(id: number): Promise<void> {
  const pid = Number(
    (await readFile(`${placed(id).data.dir}/postmaster.pid`, "utf8")).split("\n")[0],
  );
  process.kill(pid, "SIGKILL");
}

async function setPromotable(id: number, promotable: boolean): Promise<void> {
  const text = "select pg_replica.set_node($1::integer, promotable => $2)";
  expect(await value(placed(id).control.uri, text, [id, promotable])).toBe("true");
}

test("a standby that moved streams again, is found, and takes over with every acknowledged row", async () => {
  const { primary, standbys } = await untilHealthy(view());
  const [mover = 0, other = 0] = standbys;
  const pool = createPool({ ...clientOptions(view()), control: view().controlUris() });
  await createWriterTable(placed(primary).data.uri);
  await move(mover);
  const writer = startWriter({ hosts: view().dataUris(), everyMs: 5 });
  try {
    await untilHealthy(view(), 30_000);
    await expectKnown();
    await setPromotable(other, false);
    await writer.untilAcknowledged(200, 20_000);
    await killDataServer(primary);
    await writer.untilAcknowledged(200, 20_000);
    const [row] = await pool.query(
      "insert into written values (6, 6) returning inet_server_port() as port",
    );
    expect(row).toEqual({ port: placed(mover).data.port });
  } finally {
    await writer.stop();
    await pool.end();
    await setPromotable(other, true);
  }
  await untilHealthy(view(), 60_000);
  for (const id of IDS) {
    expect(await writer.check(placed(id).data.uri)).toMatchObject({ lost: [], invented: [] });
  }
});

test("one that was primary moves: it comes back as a standby there, and can be primary again", async () => {
  const { primary } = await untilHealthy(view());
  await move(primary);
  const { primary: next } = await untilHealthy(view(), 60_000);
  expect(next).not.toBe(primary);
  await expectKnown();
  const text = "select state from pg_replica.switchover($1::integer)";
  expect(await value(placed(next).control.uri, text, [primary], { answerMs: 40_000 })).toBe("done");
  await onPrimary(view(), "insert into written values (7, 7)");
  expect((await untilHealthy(view(), 30_000)).primary).toBe(primary);
});

test("another host name for a primary that goes on: its standbys are pointed there", async () => {
  const { primary, epoch } = await untilHealthy(view());
  await edit(primary, (file) => {
    file.data.host = "localhost";
    file.data.listen = "127.0.0.1";
    for (const peer of file.peers.filter(({ id }) => id === primary)) {
      Object.assign(peer, { data_host: "localhost" });
    }
  });
  const worker = members.workers.get(primary);
  if (worker !== undefined) await endWorker(worker);
  await members.run(primary);
  for (const id of IDS.filter((one) => one !== primary)) {
    await until(`node ${id} streams from localhost`, { limitMs: 20_000 }, async () => {
      const text = "select sender_host from pg_stat_wal_receiver where status = 'streaming'";
      return (await value(placed(id).data.uri, text).catch(() => "")) === "localhost";
    });
  }
  expect((await untilHealthy(view(), 30_000)).epoch).toBe(epoch);
});

test("all move at once, and each file names where the others are: they find each other", async () => {
  await onPrimary(view(), "insert into written values (8, 8)");
  const { primary, standbys } = await untilHealthy(view());
  for (const id of [...standbys, primary]) await stop(id);
  for (const id of IDS) moved.set(id, (moved.get(id) ?? 0) + 1);
  for (const id of IDS) await writePlace(id, IDS);
  for (const id of IDS) await members.run(id);
  await untilHealthy(view(), 60_000);
  await expectKnown();
  const text = "select count(*)::integer as n from written where writer in (7, 8)";
  for (const id of IDS) expect(await rows(placed(id).data.uri, text)).toEqual([{ n: 2 }]);
});

test("an address that another member has is refused, by name; its own former one is taken again", async () => {
  const { standbys } = await untilHealthy(view());
  const [mover = 0, other = 0] = standbys;
  const before = placed(mover).data;
  await stop(mover);
  // An address is what the files say: another name of the same host would be another.
  const { host } = (JSON.parse(await readFile(members.all.configOf(other), "utf8")) as NodeFile)
    .data;
  let own = "";
  await edit(mover, (file) => {
    own = file.data.host;
    Object.assign(file.data, { host, port: placed(other).data.port, listen: "127.0.0.2" });
    for (const peer of file.peers.filter(({ id }) => id === mover)) {
      Object.assign(peer, { data_host: host, data_port: placed(other).data.port });
    }
    for (const peer of file.peers.filter(({ id }) => id === other)) peer.data_port = before.port;
  });
  await members.run(mover);
  await until("it is refused", { limitMs: 20_000 }, async () => {
    const log = await readFile(members.all.logOf(mover), "utf8");
    return new RegExp(`worker.not_moved.*node${other} is reached there already`).test(log);
  });
  await expectKnown();
  await stop(mover);
  await edit(mover, (file) => {
    Object.assign(file.data, { host: own, port: before.port, listen: "127.0.0.1" });
    for (const peer of file.peers.filter(({ id }) => id === mover)) {
      Object.assign(peer, { data_host: own });
    }
  });
  await writePlace(mover, [mover]);
  await writePlace(other, [mover]);
  await members.run(mover);
  await untilHealthy(view(), 60_000);
  await expectKnown();
});
