import { mkdir, readFile, rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { afterAll, expect, test } from "vitest";
import { FenceFailed, fence, provedGone } from "../../src/postgres/fence.ts";
import { readPidFile } from "../../src/postgres/pid-file.ts";
import {
  childrenOf,
  isAlive,
  type ProcessInfo,
  processInfo,
  sendSignal,
  serverProcesses,
} from "../../src/postgres/process-tree.ts";
import { startServer, waitReady } from "../../src/postgres/server.ts";
import {
  cleanUp,
  clock,
  connectTo,
  embedded,
  eventually,
  installed,
  newPlace,
  type Place,
  spinningBackend,
  startReady,
  workDir,
} from "./support.ts";

afterAll(cleanUp);

test.each([installed, embedded])(
  "an idle server $version is fenced, and the proof says how",
  async (binaries) => {
    const place = await newPlace(binaries);
    const server = await startReady(place);
    expect(await provedGone(place)).toBe(false);

    const proof = await fence({ ...place, clock, limitMs: 5000 });
    await server.exited;
    expect(proof.killed).toBeGreaterThanOrEqual(6);
    expect(proof.evidence).toMatch(/two scans found none, nobody attached .*, port \d+ refused/);
    expect(await provedGone(place)).toBe(true);
    console.log(`fence of an idle server ${binaries.version}: ${proof.tookMs.toFixed(1)} ms`);
  },
);

test("H05: a busy backend that outlived its postmaster is found and killed", async () => {
  const place = await newPlace(installed);
  const server = await startReady(place);
  const { pid } = await spinningBackend(place);
  const backend = processInfo(pid);
  process.kill(server.pid, "SIGKILL");
  await server.exited;
  // The others notice the death and leave; the busy one does not look.
  await eventually("only the busy backend is left", async () => {
    return (await serverProcesses(place)).map((each) => each.pid).join() === String(pid);
  });
  expect(await provedGone(place)).toBe(false);

  const proof = await fence({ ...place, clock, limitMs: 5000 });
  expect(proof.killed).toBe(1);
  expect(backend !== undefined && isAlive(backend)).toBe(false);
  expect(await provedGone(place)).toBe(true);
});

test.runIf(process.platform === "linux")(
  "H05: a backend of a data directory that was removed is found, whatever stands in its place",
  async () => {
    const place = await newPlace(installed);
    const server = await startReady(place);
    const { pid } = await spinningBackend(place);
    const backend = processInfo(pid);
    if (backend === undefined) throw new Error("it spins");
    try {
      process.kill(server.pid, "SIGKILL");
      await server.exited;
      const left = async () => (await serverProcesses(place)).map((each) => each.pid).join();
      await eventually("only the busy backend is left", async () => (await left()) === String(pid));
      await rm(place.dataDir, { recursive: true });
      expect(await left()).toBe(String(pid));
      await mkdir(place.dataDir);
      expect(await left()).toBe(String(pid));
      expect(await provedGone(place)).toBe(false);

      expect((await fence({ ...place, clock, limitMs: 5000 })).killed).toBe(1);
      expect(await provedGone(place)).toBe(true);
    } finally {
      // No fence of this file would find what this test is about.
      sendSignal(backend, "SIGKILL");
    }
  },
);

test("a server whose every process is stopped is fenced", async () => {
  const place = await newPlace(installed);
  const server = await startReady(place);
  await spinningBackend(place);
  // One of them may end by itself meanwhile.
  for (const each of await serverProcesses(place)) sendSignal(each, "SIGSTOP");
  await fence({ ...place, clock, limitMs: 5000 });
  await server.exited;
  expect(await provedGone(place)).toBe(true);
});

test("a program that a backend started is killed with it", async () => {
  const place = await newPlace(installed);
  await startReady(place);
  const client = await connectTo(place);
  client.query("copy (select 1) to program 'sleep 600'").catch(() => undefined);
  const program = await eventually("the program runs", () => runningSleep(place));
  // When it is searched for, only the session of its dead backend ties it to this server.
  const proof = await fence({ ...place, clock, limitMs: 5000 });
  expect(isAlive(program)).toBe(false);
  expect(proof.killed).toBeGreaterThanOrEqual(8);
});

test("forty busy backends are fenced, and nothing of theirs is left", async () => {
  const place = await newPlace(installed);
  await startReady(place);
  const clients = await Promise.all(Array.from({ length: 40 }, () => connectTo(place)));
  for (const client of clients) {
    client.query("select count(*) from generate_series(1, 1e9)").catch(() => undefined);
  }
  const proof = await fence({ ...place, clock, limitMs: 10_000 });
  expect(proof.killed).toBeGreaterThanOrEqual(46);
  expect(await provedGone(place)).toBe(true);
  console.log(`fence of 40 busy backends: ${proof.tookMs.toFixed(1)} ms`);
});

test("a fenced server starts again, and its neighbour was left alone", async () => {
  const place = await newPlace(installed);
  const neighbour = await startReady(await newPlace(installed));
  await startReady(place);
  await fence({ ...place, clock, limitMs: 5000 });
  expect(neighbour.status()).toBe("ready");

  const again = await startServer(place);
  expect(await waitReady(again, { clock, limitMs: 15_000 })).toBe("ready");
});

test("a fence is not claimed while somebody answers on the port", async () => {
  const place = await newPlace(installed);
  const somebody = createServer();
  await new Promise<void>((resolve) => somebody.listen(place.port, "127.0.0.1", resolve));
  const failure = await fence({ ...place, clock, limitMs: 1000 }).catch((error) => error);
  somebody.close();
  expect(failure).toBeInstanceOf(FenceFailed);
  expect(failure.message).toContain("does not refuse");
});

/** Somebody else's server, on the port of this place. */
async function occupied(address: string, { port }: Place): Promise<Server> {
  const somebody = createServer();
  await new Promise<void>((resolve) => somebody.listen(port, address, resolve));
  return somebody;
}

test("D7: a server that listened nowhere is fenced, whoever answers on its port", async () => {
  const place = await newPlace(installed, {
    listen_addresses: "",
    unix_socket_directories: workDir,
  });
  const server = await startReady(place);
  expect(readPidFile(place.dataDir)?.listenAddress).toBe("");
  const somebody = await occupied("127.0.0.1", place);
  try {
    const proof = await fence({ ...place, clock, limitMs: 2000 });
    expect(proof.killed).toBeGreaterThanOrEqual(6);
    expect(proof.evidence).toMatch(/two scans found none, nobody attached .*, it listened nowhere/);
    expect(await provedGone(place)).toBe(true);
  } finally {
    somebody.close();
  }
  await server.exited;
});

test("D7: without a lock file the port is asked for where the server was to listen, and nowhere else", async () => {
  const place = { ...(await newPlace(installed)), listen: "127.0.0.2, 127.0.0.3" };
  const elsewhere = await occupied("127.0.0.1", place);
  expect(await provedGone(place)).toBe(true);
  expect((await fence({ ...place, clock, limitMs: 2000 })).killed).toBe(0);
  const here = await occupied("127.0.0.3", place);
  expect(await provedGone(place)).toBe(false);
  for (const each of [elsewhere, here]) each.close();
});

test("H27: a zombie is no live process", async () => {
  const place = await newPlace(installed);
  const server = await startReady(place);
  const [child] = await childrenOf(server.pid);
  if (child === undefined) throw new Error("a server has children");
  // A stopped postmaster reaps nobody, so its killed child stays as a zombie.
  process.kill(server.pid, "SIGSTOP");
  process.kill(child.pid, "SIGKILL");
  await eventually("the child is a zombie", () => processInfo(child.pid)?.state === "Z");
  expect(isAlive(child)).toBe(false);
  expect((await childrenOf(server.pid)).map(({ pid }) => pid)).not.toContain(child.pid);
});

async function runningSleep(place: Place): Promise<ProcessInfo | undefined> {
  for (const found of await serverProcesses(place)) {
    const name = await readFile(`/proc/${found.pid}/comm`, "utf8").catch(() => "");
    if (name === "sleep\n") return found;
  }
  return undefined;
}
