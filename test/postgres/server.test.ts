import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { monotonicClock } from "../../src/clock/clock.ts";
import { makeDirectory } from "../../src/postgres/files.ts";
import { readLockFile, readPidFile } from "../../src/postgres/pid-file.ts";
import { isAlive, processInfo } from "../../src/postgres/process-tree.ts";
import {
  adoptServer,
  dropStaleLocks,
  ServerGone,
  startServer,
  waitReady,
} from "../../src/postgres/server.ts";
import {
  cleanUp,
  connectTo,
  embedded,
  eventually,
  installed,
  newPlace,
  owner,
  type Place,
  startReady,
  workDir,
} from "./support.ts";

afterAll(cleanUp);
const clock = monotonicClock;

describe.each([
  { binaries: installed, name: `PostgreSQL ${installed.version}` },
  { binaries: embedded, name: `embedded PostgreSQL ${embedded.version}` },
])("$name", ({ binaries }) => {
  test("a server starts, answers, reloads, and its exit is seen when it stops", async () => {
    const place = await newPlace(binaries);
    const server = await startServer(place);
    expect(await waitReady(server, { clock, limitMs: 15_000 })).toBe("ready");
    expect(server.status()).toBe("ready");

    const client = await connectTo(place);
    const loaded = "select pg_conf_load_time()::text as at";
    const before = (await client.query(loaded)).rows[0].at;
    server.reload();
    await eventually("reloaded", async () => (await client.query(loaded)).rows[0].at !== before);
    await client.end();

    await server.stop("fast", 10_000);
    await server.exited;
    expect(server.alive()).toBe(false);
    expect(server.status()).toBe("gone");
    expect(() => server.reload()).toThrow(ServerGone);
  });

  test("a killed server's exit is seen at once", async () => {
    const server = await startReady(await newPlace(binaries));
    const killedAt = clock.now();
    process.kill(server.pid, "SIGKILL");
    await server.exited;
    expect(clock.now() - killedAt).toBeLessThan(100);
  });
});

test("a running server is adopted, and its exit is seen though it is no child", async () => {
  const place = await newPlace(installed);
  const server = await startReady(place);
  const adopted = await adoptServer(place);
  expect(adopted).toMatchObject({ pid: server.pid, startTicks: server.startTicks, adopted: true });
  expect(adopted?.status()).toBe("ready");

  await adopted?.stop("immediate", 10_000);
  await adopted?.exited;
  expect(server.alive()).toBe(false);
});

/** For a second this process can open nothing; whoever runs this was there before. */
const NO_FILES = `soft=$(prlimit --pid $1 --nofile --output SOFT --noheadings)
  prlimit --pid $1 --nofile=4: && sleep 1; prlimit --pid $1 --nofile=$soft:`;

test.runIf(process.platform === "linux")(
  "who has no file left to look with has not seen it gone (F46)",
  async () => {
    const place = await newPlace(installed);
    const server = await startReady(place);
    const adopted = await adoptServer(place);
    if (adopted === undefined) throw new Error("it was not adopted");
    let ended = false;
    void adopted.exited.then(() => {
      ended = true;
    });
    const look = () => {
      try {
        return processInfo(server.pid)?.pid;
      } catch (error) {
        return (error as { code?: string }).code;
      }
    };
    const helper = spawn("sh", ["-c", NO_FILES, "sh", `${process.pid}`], { stdio: "ignore" });
    await eventually("nothing can be opened", async () => look() === "EMFILE");
    while (look() === "EMFILE") {
      expect([server.alive(), adopted.alive(), ended]).toEqual([true, true, false]);
      await clock.sleep(5);
    }
    if (helper.exitCode === null) await once(helper, "exit");
    await server.stop("immediate", 10_000);
    await adopted.exited;
  },
);

/** A shell starts the server and becomes a program that never asks after its children; killed, it leaves a zombie. */
async function unreaped(place: Place) {
  const script = '"$1" -D "$2" >/dev/null 2>&1 & exec sleep 600';
  const args = ["-c", script, "sh", place.binaries.program("postgres"), place.dataDir];
  const user = owner === undefined ? {} : { uid: owner.uid, gid: owner.gid };
  const parent = spawn("sh", args, { cwd: place.dataDir, stdio: "ignore", ...user });
  const adopted = await eventually("the server is there", async () => {
    const found = await adoptServer(place);
    return found?.status() === "ready" ? found : undefined;
  });
  process.kill(adopted.pid, "SIGKILL");
  await adopted.exited;
  expect(processInfo(adopted.pid)?.state).toBe("Z");
  return { parent, adopted };
}

test.runIf(process.platform === "linux")(
  "H27: an adopted server that nobody reaps is gone, and a start waits for its reaping",
  async () => {
    const place = await newPlace(installed);
    const { parent, adopted } = await unreaped(place);
    expect(adopted.status()).toBe("gone");

    const starting = startServer(place);
    parent.kill("SIGKILL");
    const server = await starting;
    expect(await waitReady(server, { clock, limitMs: 15_000 })).toBe("ready");
  },
);

test.runIf(process.platform === "linux")(
  "H27: so does the start of another data directory in its place: the socket's lock outlives the lost one",
  async () => {
    const socketDir = join(workDir, "sockets");
    await makeDirectory(socketDir, { owner });
    const sockets = { unix_socket_directories: socketDir };
    const first = await newPlace(installed, sockets);
    const second = await newPlace(installed, { ...sockets, port: first.port });
    const { parent } = await unreaped(first);

    const starting = startServer({ ...second, socketDir });
    await clock.sleep(100);
    parent.kill("SIGKILL");
    const server = await starting;
    expect(await waitReady(server, { clock, limitMs: 15_000 })).toBe("ready");
    await server.stop("immediate", 10_000);
  },
);

test("nothing is adopted from a lock file that a dead server left", async () => {
  const place = await newPlace(installed);
  const server = await startReady(place);
  process.kill(server.pid, "SIGKILL");
  await server.exited;
  expect(await adoptServer(place)).toBeUndefined();
});

test("D12: the locks of a server that runs stay, and so it is alone", async () => {
  const socketDir = join(workDir, "its sockets");
  await makeDirectory(socketDir, { owner });
  const place = await newPlace(installed, { unix_socket_directories: `"${socketDir}"` });
  const server = await startReady(place);
  await dropStaleLocks({ ...place, socketDir });
  expect(readPidFile(place.dataDir)?.pid).toBe(server.pid);
  expect(readLockFile(join(socketDir, `.s.PGSQL.${place.port}.lock`))?.pid).toBe(server.pid);
  const second = await startServer(place);
  await expect(waitReady(second, { clock, limitMs: 15_000 })).rejects.toThrow(/lock file/);
  await server.stop("immediate", 10_000);
});

test("a server of another data directory is not adopted, whatever the lock file says", async () => {
  const place = await newPlace(installed);
  const other = await newPlace(installed);
  const server = await startReady(place);
  await copyFile(`${place.dataDir}/postmaster.pid`, `${other.dataDir}/postmaster.pid`);
  expect(await adoptServer(other)).toBeUndefined();
  await server.stop("immediate", 10_000);
});

test("a server that cannot have its port ends with the reason from its log", async () => {
  const place = await newPlace(installed);
  const occupant = createServer();
  await new Promise<void>((resolve) => occupant.listen(place.port, "127.0.0.1", resolve));
  const server = await startServer(place);
  const failure = await waitReady(server, { clock, limitMs: 10_000 }).catch((error) => error);
  occupant.close();
  expect(failure).toBeInstanceOf(ServerGone);
  expect(failure.logTail).toContain("Address already in use");
  await server.exited;
});

test("a stopped server does not outlast the limit of its stop in silence", async () => {
  const server = await startReady(await newPlace(installed));
  process.kill(server.pid, "SIGSTOP");
  await expect(server.stop("immediate", 50)).rejects.toThrow("immediate stop");
  expect(isAlive(server)).toBe(true);
  process.kill(server.pid, "SIGCONT");
  await server.exited;
});
