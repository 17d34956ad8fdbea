/** The deadman on real servers: it fires at the end of the lease and at nothing else, and proves what it did. */
import { existsSync } from "node:fs";
import { appendFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, expect, test } from "vitest";
import { armDeadman, endDeadman, LeaseFile, readDeadman } from "../../src/postgres/deadman.ts";
import { provedGone } from "../../src/postgres/fence.ts";
import { isAlive, processInfo, serverProcesses } from "../../src/postgres/process-tree.ts";
import type { Server } from "../../src/postgres/server.ts";
import {
  cleanUp,
  clock,
  connectTo,
  eventually,
  installed,
  newPlace,
  type Place,
  spinningBackend,
  startReady,
  workDir,
} from "./support.ts";

const armed: { dir: string; lease: LeaseFile }[] = [];

afterEach(async () => {
  for (const { dir, lease } of armed.splice(0)) {
    await endDeadman(dir, clock);
    await lease.close();
  }
});
afterAll(cleanUp);

interface Armed {
  readonly dir: string;
  readonly lease: LeaseFile;
  readonly pid: number;
}

async function arm(place: Place, server: Server, leaseMs: number, more = {}): Promise<Armed> {
  const dir = join(workDir, `deadman${server.pid}`);
  await mkdir(dir, { recursive: true });
  const lease = new LeaseFile(dir);
  await lease.write(leaseMs);
  armed.push({ dir, lease });
  const { pid } = await armDeadman(
    { server, dataDir: place.dataDir, ...more },
    { dir, logFile: join(workDir, "deadman.log"), clock },
  );
  return { dir, lease, pid };
}

const gone = (pid: number) => eventually("the deadman ends", () => processInfo(pid) === undefined);

/** H27: a zombie is no live process. */
function livesOn(pid: number): boolean {
  const info = processInfo(pid);
  return info !== undefined && isAlive(info);
}

interface Act {
  readonly event: string;
  readonly reason: string;
  readonly detail: { readonly at: string };
}

async function actsIn(dir: string): Promise<Act[]> {
  const names = await readdir(join(dir, "acts")).catch(() => []);
  const texts = await Promise.all(names.map((name) => readFile(join(dir, "acts", name), "utf8")));
  return texts.map((text) => JSON.parse(text));
}

test("it fires at the end of the lease, not before, and tells what it did", async () => {
  const place = await newPlace(installed);
  const server = await startReady(place);
  const { pid: spinner } = await spinningBackend(place);
  const started = clock.now();
  const { dir, lease, pid } = await arm(place, server, 1500);
  await clock.sleep(1000);
  expect(server.alive()).toBe(true);
  await lease.write(1500);
  await clock.sleep(1300 - (clock.now() - started - 1000));
  expect(server.alive()).toBe(true);
  await server.exited;
  const late = clock.now() - started - 2500;
  await gone(pid);
  expect(livesOn(spinner)).toBe(false);
  expect(await provedGone(place)).toBe(true);
  expect(late).toBeGreaterThan(-20);
  expect(late).toBeLessThan(1000);
  const [act] = await actsIn(dir);
  expect(act).toMatchObject({ event: "fenced" });
  expect(act?.reason).toMatch(/[1-9]\d* processes killed, two scans found none, nobody attached/);
  console.log(`deadman: fired ${late.toFixed(0)} ms after the end, ${JSON.stringify(act)}`);
});

test("M33: frozen or killed, whoever renewed it keeps nothing quiet; a new one takes it over", async () => {
  const place = await newPlace(installed);
  const server = await startReady(place);
  const first = await arm(place, server, 60_000);
  // A successor finds the same process, and no second one is started.
  const again = await arm(place, server, 60_000);
  expect(again.pid).toBe(first.pid);
  expect(readDeadman(first.dir)?.server.pid).toBe(server.pid);
  // One that stands still watches over nothing: it is replaced.
  process.kill(first.pid, "SIGSTOP");
  await eventually("it stands still", () => processInfo(first.pid)?.state === "T");
  const other = await arm(place, server, 60_000);
  expect(other.pid).not.toBe(first.pid);
  expect(processInfo(first.pid)).toBeUndefined();
  expect(await endDeadman(first.dir, clock)).toBe(true);
  expect(server.alive()).toBe(true);
  expect(await actsIn(first.dir)).toEqual([]);
});

test("it lives in a session of its own, and is small", async () => {
  const place = await newPlace(installed);
  const server = await startReady(place);
  const { pid } = await arm(place, server, 60_000);
  const info = processInfo(pid);
  expect(info?.session).toBe(pid);
  expect(await serverProcesses(place)).not.toContainEqual(expect.objectContaining({ pid }));
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, "utf8");
  const pss = Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1]);
  expect(pss).toBeLessThan(3072);
  console.log(`deadman: ${pss} kB PSS`);
});

test("a lease that says off ends it, and the server runs on", async () => {
  const place = await newPlace(installed);
  const server = await startReady(place);
  const { lease, pid } = await arm(place, server, 60_000);
  await lease.writeOff();
  await gone(pid);
  expect(server.alive()).toBe(true);
});

test("H25: a postmaster that stands still, and busy children that it has left alone, are ended", async () => {
  const place = await newPlace(installed);
  const server = await startReady(place);
  await spinningBackend(place);
  const client = await connectTo(place);
  client.query("copy (select 1) to program 'sleep 600'").catch(() => undefined);
  await eventually("the program runs", async () => (await sleepers(place)).length > 0);
  const [program] = await sleepers(place);
  for (const { pid } of await serverProcesses(place)) process.kill(pid, "SIGSTOP");
  const { pid } = await arm(place, server, 300);
  await gone(pid);
  expect(await provedGone(place)).toBe(true);
  expect(program !== undefined && isAlive(program)).toBe(false);
});

test("H05: orphans of a dead postmaster are ended, a neighbour is left alone", async () => {
  const place = await newPlace(installed);
  const neighbour = await startReady(await newPlace(installed));
  const server = await startReady(place);
  const { pid: spinner } = await spinningBackend(place);
  const { pid } = await arm(place, server, 600);
  process.kill(server.pid, "SIGKILL");
  await server.exited;
  expect(livesOn(spinner)).toBe(true);
  await gone(pid);
  expect(livesOn(spinner)).toBe(false);
  expect(neighbour.alive()).toBe(true);
});

test("H25: while clients knock without end, nothing that was being forked is left", async () => {
  const place = await newPlace(installed, { max_connections: 60 });
  const server = await startReady(place);
  let knocking = true;
  const knock = async () => {
    while (knocking) {
      await connectTo(place).then(
        (client) => client.end(),
        () => clock.sleep(5),
      );
    }
  };
  const clients = Array.from({ length: 12 }, knock);
  const { pid } = await arm(place, server, 500);
  await gone(pid);
  const proved = await provedGone(place);
  knocking = false;
  await Promise.all(clients);
  expect(proved).toBe(true);
});

test("a watchdog device is petted while the lease lasts, and closed only once the server is down", async () => {
  const place = await newPlace(installed);
  const server = await startReady(place);
  const watchdog = join(workDir, `watchdog${server.pid}`);
  await writeFile(watchdog, "");
  const { pid } = await arm(place, server, 2300, { watchdog });
  await eventually("two pets", async () => (await readFile(watchdog, "utf8")).length >= 2);
  expect(await readFile(watchdog, "utf8")).toMatch(/^\.{2,3}$/);
  await gone(pid);
  expect(server.alive()).toBe(false);
  expect(await readFile(watchdog, "utf8")).toMatch(/^\.{3,4}V$/);
});

test("H30: whoever renews too late renews nothing: an end that has passed is no lease", async () => {
  const place = await newPlace(installed);
  const server = await startReady(place);
  const dir = join(workDir, `late${server.pid}`);
  await mkdir(dir);
  const lease = new LeaseFile(dir);
  await lease.write(-10);
  await lease.close();
  const log = join(workDir, "late.log");
  await appendFile(log, "");
  const armedLate = armDeadman({ server, dataDir: place.dataDir }, { dir, logFile: log, clock });
  await expect(armedLate).rejects.toThrow(/ended at once/);
});

test("F32: an end that no lease can have was counted since another boot: the one before stays in force", async () => {
  const place = await newPlace(installed);
  const server = await startReady(place);
  const started = clock.now();
  const { lease } = await arm(place, server, 1500);
  await lease.write(3_600_000);
  await server.exited;
  expect(clock.now() - started).toBeGreaterThan(1480);
});

test("F30: a wall clock that is stepped back and forth changes nothing", async (context) => {
  const library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
  if (!existsSync(library)) return context.skip(`skipped (capability): no ${library}`);
  const place = await newPlace(installed);
  const server = await startReady(place);
  const clockFile = join(workDir, "faketime");
  await writeFile(clockFile, "+0s\n");
  const faked = {
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: clockFile,
    FAKETIME_NO_CACHE: "1",
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
  };
  Object.assign(process.env, faked);
  const started = clock.now();
  const { dir, pid } = await arm(place, server, 2500);
  for (const name of Object.keys(faked)) delete process.env[name];
  for (const step of ["-3600s", "+7200s", "-60s"]) {
    await clock.sleep(500);
    await writeFile(clockFile, `${step}\n`);
  }
  expect(server.alive()).toBe(true);
  await server.exited;
  const late = clock.now() - started - 2500;
  await gone(pid);
  expect(late).toBeGreaterThan(-20);
  expect(late).toBeLessThan(1000);
  // It did live by the other clock: the note is dated by it.
  const [act] = await actsIn(dir);
  const dated = Date.parse(act?.detail.at ?? "");
  expect(Math.abs(Date.now() - 60_000 - dated)).toBeLessThan(20_000);
});

test("a half-written line leaves the earlier end in force", async () => {
  const place = await newPlace(installed);
  const server = await startReady(place);
  const { dir, pid } = await arm(place, server, 700);
  await writeFile(join(dir, "lease"), "99999999 99999\n");
  await gone(pid);
  expect(server.alive()).toBe(false);
});

async function sleepers(place: Place) {
  const found = await serverProcesses(place);
  const named = await Promise.all(
    found.map(async (one) => {
      const name = await readFile(`/proc/${one.pid}/comm`, "utf8").catch(() => "");
      return name === "sleep\n" ? one : undefined;
    }),
  );
  return named.filter((one) => one !== undefined);
}
