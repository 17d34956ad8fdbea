/** Long work is a job of the queue in a control store: visible, tried again, and gone when it is done. */

import { access } from "node:fs/promises";
import { createServer, connect as dial } from "node:net";
import { join } from "node:path";
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect } from "../../src/db/connect.ts";
import { longWork } from "../../src/jobs/long-work.ts";
import { silentLog } from "../../src/log/logger.ts";
import { type Lab, type LabServer, openLab } from "../replication/lab.ts";
import { freePorts } from "../support/ports.ts";
import { allProcesses } from "../support/processes.ts";
import { until } from "../support/until.ts";

let lab: Lab;
let source: LabServer;
let store: pg.Client;
let address: { host: string; port: number; user: string };

beforeAll(async () => {
  lab = await openLab(undefined);
  source = await lab.primary("source");
  await source.sql("create table t as select g, md5(g::text) from generate_series(1, 200000) g");
  const control = await lab.primary("control", { max_wal_senders: 0, wal_level: "minimal" });
  address = { host: "127.0.0.1", port: control.port, user: "postgres" };
  store = await connect({ ...address, applicationName: "test", connectLimitMs: 3000 });
}, 60_000);
afterAll(async () => {
  await store?.end();
  await lab?.close();
});

const work = () =>
  longWork({
    store: { ...address, applicationName: "job", connectLimitMs: 3000 },
    binaries: lab.binaries,
    log: silentLog,
  });

const copyTo = (name: string, from: { host: string; port: number; user: string } = source) => ({
  host: from.host,
  port: from.port,
  user: from.user,
  dir: lab.path(name),
  ...(lab.owner === undefined ? {} : { owner: lab.owner }),
  label: name,
});

const jobs = async () => {
  const { rows } = await store.query(
    "select task_identifier as task, attempts, last_error, locked_by is not null as held from graphile_worker.jobs",
  );
  return rows as { task: string; attempts: number; last_error: string | null; held: boolean }[];
};

const processes = (text: string) => allProcesses().filter(({ command }) => command.includes(text));

test("a copy is made by a process of its own, told of while it goes on, and leaves no job", async () => {
  const seen: bigint[] = [];
  const backup = await work().copy({
    ...copyTo("copy"),
    signal: new AbortController().signal,
    onProgress: (done) => seen.push(done),
  });
  expect(backup.endLsn).toBeGreaterThan(backup.startLsn);
  expect(seen.at(-1)).toBe(backup.bytes);
  await access(join(lab.path("copy"), "backup_label"));
  expect(await jobs()).toEqual([]);
}, 60_000);

test("a copy that fails is tried again from the beginning until its source is there, and says why", async () => {
  const [port = 0] = await freePorts(1);
  const retries: string[] = [];
  const running = work().copy({
    ...copyTo("late", { host: "127.0.0.1", port, user: "postgres" }),
    signal: new AbortController().signal,
    onRetry: (why) => retries.push(why),
  });
  await until("the first attempt has failed", { limitMs: 20_000 }, async () => {
    const [job] = await jobs();
    return job?.task === "clone" && job.attempts >= 1 && /ECONNREFUSED/.test(job.last_error ?? "");
  });
  const relay = createServer((inner) => {
    const outer = dial(source.port, "127.0.0.1");
    for (const socket of [inner, outer]) socket.on("error", () => undefined);
    inner.pipe(outer).pipe(inner);
  }).listen(port, "127.0.0.1");
  const backup = await running;
  relay.close();
  expect(backup.bytes).toBeGreaterThan(0n);
  expect(retries[0]).toMatch(/ECONNREFUSED/);
  expect(await jobs()).toEqual([]);
}, 60_000);

test("a copy never pauses for longer than a minute: the attempt after such a pause is the last", async () => {
  const [port = 0] = await freePorts(1);
  const running = work().copy({
    ...copyTo("away", { host: "127.0.0.1", port, user: "postgres" }),
    signal: new AbortController().signal,
  });
  // The queue's pause after attempt n is e^n seconds: 55 after the fourth.
  const skipPauses = `update graphile_worker._private_jobs
                         set attempts = 4, run_at = now() where attempts = 1 and locked_by is null`;
  await until("it pauses", { limitMs: 20_000 }, async () => {
    return (await store.query(skipPauses)).rowCount === 1;
  });
  await expect(running).rejects.toThrow(/ECONNREFUSED/);
}, 60_000);

test("a job whose process is killed is taken over by the next one, and secrets are in no queue", async () => {
  const controller = new AbortController();
  const [port = 0] = await freePorts(1);
  const from = { host: "127.0.0.1", port, user: "postgres" };
  const running = work().copy({
    ...copyTo("killed", from),
    password: "very secret",
    signal: controller.signal,
  });
  await until("the job is there", { limitMs: 20_000 }, async () => (await jobs()).length === 1);
  const { rows } = await store.query("select payload::text from graphile_worker._private_jobs");
  expect(JSON.stringify(rows)).not.toContain("secret");
  controller.abort(new Error("a newer epoch"));
  await expect(running).rejects.toThrow("a newer epoch");
  await until("its process is gone", { limitMs: 5000 }, () => processes("jobs/main").length === 0);
  const backup = await work().copy({ ...copyTo("next"), signal: new AbortController().signal });
  expect(backup.bytes).toBeGreaterThan(0n);
  expect(await jobs()).toEqual([]);
}, 60_000);

test("a rewind that fails is never tried a second time", async () => {
  const dataDir = await lab.folder("nothing");
  const failing = work().rewind({
    dataDir,
    owner: lab.owner,
    source: { host: source.host, port: source.port, user: source.user },
    passFile: "/dev/null",
    signal: new AbortController().signal,
  });
  await expect(failing).rejects.toThrow(/pg_rewind: exit 1: .*PG_VERSION|pg_rewind: exit 1/);
  const [job] = await jobs();
  expect(job).toMatchObject({ task: "rewind", attempts: 1, held: false });
}, 60_000);
