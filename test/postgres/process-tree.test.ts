import { spawn } from "node:child_process";
import { afterAll, expect, test } from "vitest";
import {
  childrenOf,
  isAlive,
  processesByPs,
  processInfo,
  sendSignal,
  serverProcesses,
  signalPending,
} from "../../src/postgres/process-tree.ts";
import { cleanUp, eventually, installed, newPlace, startReady } from "./support.ts";

afterAll(cleanUp);
const linux = process.platform === "linux";

test("a reused pid is another process", () => {
  const self = processInfo(process.pid);
  if (self === undefined) throw new Error("we are running");
  expect(isAlive(self)).toBe(true);
  expect(isAlive({ pid: self.pid, startTicks: "1" })).toBe(false);
  expect(sendSignal({ pid: self.pid, startTicks: "1" }, "SIGKILL")).toBe(false);
});

test("a postmaster's children are known with their titles", async () => {
  const server = await startReady(await newPlace(installed));
  const titles = (await childrenOf(server.pid)).map(({ title }) => title);
  expect(titles.join("\n")).toMatch(/checkpointer/);
  await server.stop("immediate", 10_000);
});

test.runIf(linux)("a signal is pending until the process takes it", async () => {
  const child = spawn("sleep", ["600"]);
  const pid = child.pid ?? 0;
  process.kill(pid, "SIGSTOP");
  await eventually("stopped", () => processInfo(pid)?.state === "T");
  process.kill(pid, "SIGTERM");
  expect(signalPending(pid, "SIGTERM")).toBe(true);
  expect(signalPending(pid, "SIGHUP")).toBe(false);
  const exit = new Promise((resolve) => child.once("exit", resolve));
  process.kill(pid, "SIGCONT");
  await exit;
  expect(signalPending(pid, "SIGTERM")).toBe(false);
});

test("neither a stranger in the data directory nor our own process is a target", async () => {
  const place = await newPlace(installed);
  const stranger = spawn("sleep", ["600"], { cwd: place.dataDir });

  const found = await serverProcesses(place);
  stranger.kill("SIGKILL");

  expect(found).toEqual([]);
});

test("ps tells the same tree as /proc", async () => {
  const server = await startReady(await newPlace(installed));
  const byPs = (await processesByPs()).filter(({ parent }) => parent === server.pid);
  const children = await childrenOf(server.pid);
  const pids = (rows: readonly { pid: number }[]) => rows.map(({ pid }) => pid).sort();
  expect(pids(byPs)).toEqual(pids(children));
  await server.stop("immediate", 10_000);
});
