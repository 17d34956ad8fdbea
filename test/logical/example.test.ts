/** The change stream to a file runs as it stands: killed and started again it misses nothing, and repeats nothing. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { PROJECT } from "../support/programs.ts";
import { until } from "../support/until.ts";
import { openBench } from "./bench.ts";

test("killed, its file torn, started again: every change once, in order", async () => {
  const bench = await openBench(undefined);
  const folder = await mkdtemp(join(tmpdir(), "pgr-example-"));
  const FILE = join(folder, "changes.jsonl");
  const { host, port, user } = bench.server;
  const env = {
    ...process.env,
    DATABASE_URL: `postgresql://${user}@${host}:${port}/postgres`,
    ...{ SLOT: "example", PUBLICATION: "p", FILE },
  };
  const own = join(PROJECT, "test", "client", "own-name.mjs");
  const program = join(PROJECT, "examples", "change-stream.ts");
  let said = "";
  const start = async (): Promise<ChildProcess> => {
    said = "";
    const child = spawn(process.execPath, ["--import", own, program], { env });
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (text: Buffer) => {
        said += text.toString();
      });
    await until("it streams", { limitMs: 15_000 }, () => {
      if (child.exitCode !== null) throw new Error(said);
      return said.includes("streaming from");
    });
    return child;
  };
  const changes = async () => {
    const lines = (await readFile(FILE, "utf8")).split("\n").filter((line) => line !== "");
    return lines.map((line) => JSON.parse(line)).filter((line) => !("checkpoint" in line));
  };
  const written = async () => (await changes()).map(({ row }) => Number(row.id));
  const has = (count: number) =>
    until("it is written", { limitMs: 15_000 }, async () => (await written()).length === count);
  let child = await start();
  try {
    for (let id = 1; id <= 5; id++) await bench.server.sql(`insert into t values (${id}, 'a')`);
    await has(5);
    child.kill("SIGKILL");
    await once(child, "exit");
    await appendFile(FILE, '{"insert":"public.t","row":{"id":"99"}}\n{"insert":"pub');
    await bench.server.sql("insert into t values (6, 'b'), (7, 'b')");
    await until("its slot is free", { limitMs: 10_000 }, async () => {
      const active = "select active from pg_replication_slots where slot_name = 'example'";
      return (await bench.server.value(active)) === "f";
    });
    child = await start();
    await has(7);
    expect(await written()).toEqual([1, 2, 3, 4, 5, 6, 7]);
    await bench.server.sql("update t set v = 'c' where id = 6");
    await bench.server.sql("update t set id = 8 where id = 7");
    await bench.server.sql("delete from t where id = 8");
    await bench.server.sql("truncate t");
    await until("all four are written", { limitMs: 15_000 }, async () => {
      return (await changes()).length === 11;
    });
    expect((await changes()).slice(7)).toEqual([
      { update: "public.t", row: { id: "6", v: "c" } },
      { update: "public.t", row: { id: "8", v: "b" }, old: { id: "7" } },
      { delete: "public.t", row: { id: "8" } },
      { truncate: ["public.t"] },
    ]);
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
  } finally {
    child.kill("SIGKILL");
    await bench.lab.close();
    await rm(folder, { recursive: true });
  }
}, 60_000);
