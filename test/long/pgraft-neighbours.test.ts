/** Two clusters on one host share no socket, no file and no memory; the end of one is no news to the other. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { expect, test } from "vitest";
import type { Cluster } from "../support/cluster.ts";
import { processesBelow } from "../support/cluster.ts";
import { useCluster } from "../support/fixture.ts";
import { untilHealthy } from "../support/health.ts";
import type { Process } from "../support/processes.ts";
import { signalTree } from "../support/processes.ts";
import { listening } from "../support/sockets.ts";
import { rows, value } from "../support/sql.ts";

const ours = useCluster();
const theirs = useCluster();

/** What a process that has ended has open: nothing. */
function lookAt<T>(look: () => T[]): T[] {
  try {
    return look();
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return [];
    throw error;
  }
}

const WRITABLE = 0o3;

/** Files that these processes can write to. */
function filesOf(processes: readonly Process[]): string[] {
  const files = processes.flatMap(({ pid }) =>
    lookAt(() => readdirSync(`/proc/${pid}/fd`)).flatMap((fd) =>
      lookAt(() => {
        const [, flags = "0"] =
          /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, "utf8")) ?? [];
        const path = readlinkSync(`/proc/${pid}/fd/${fd}`);
        const isFile = path.startsWith("/") && !path.startsWith("/dev/");
        return isFile && (Number.parseInt(flags, 8) & WRITABLE) !== 0 ? [path] : [];
      }),
    ),
  );
  return [...new Set(files)];
}

/** Memory that these processes share with whoever maps the same, whether it has a name or not. */
function memoryOf(processes: readonly Process[]): string[] {
  const maps = processes.flatMap(({ pid }) =>
    lookAt(() => readFileSync(`/proc/${pid}/maps`, "utf8").trim().split("\n")),
  );
  const shared = maps
    .map((line) => line.split(/\s+/))
    .filter(([, rights = ""]) => rights[1] === "w" && rights[3] === "s")
    .map(([, , , device, inode, ...path]) => `${device} ${inode} ${path.join(" ")}`);
  return [...new Set(shared)];
}

const both = <T>(look: (cluster: Cluster) => T): [T, T] => [look(ours()), look(theirs())];
const common = ([one, other]: readonly [readonly string[], readonly string[]]) =>
  one.filter((name) => other.includes(name));

test("sockets, ports, files and memory are each cluster's own", async () => {
  await Promise.all([untilHealthy(ours()), untilHealthy(theirs())]);
  const processes = both(({ dir }) => processesBelow(dir));
  const pids = processes.map((one) => one.map(({ pid }) => String(pid)));
  expect(common(pids as [string[], string[]])).toEqual([]);
  for (const look of [listening, filesOf, memoryOf]) {
    const found = processes.map(look) as [string[], string[]];
    // Six servers each, at least.
    for (const one of found) expect(one.length).toBeGreaterThanOrEqual(6);
    expect(common(found)).toEqual([]);
  }
  for (const cluster of [ours(), theirs()]) {
    const outside = filesOf(processesBelow(cluster.dir)).filter(
      (path) => !path.startsWith(cluster.dir) && path !== cluster.logFile,
    );
    expect(outside).toEqual([]);
  }
});

test("what one is told the other does not know", async () => {
  const [mine, yours] = await Promise.all([untilHealthy(ours()), untilHealthy(theirs())]);
  const [here, there] = [ours().node(mine.leader), theirs().node(yours.leader)];
  await value(here.control.uri, "select pgraft_kv_put('whose', 'mine')");
  await value(there.control.uri, "select pgraft_kv_put('whose', 'yours')");
  for (const { uri } of ours().nodes.flatMap(({ control, data }) => [control, data])) {
    expect(await value(uri, "select pgraft_kv_get('whose')")).toBe("mine");
  }
  for (const { uri } of theirs().nodes.flatMap(({ control, data }) => [control, data])) {
    expect(await value(uri, "select pgraft_kv_get('whose')")).toBe("yours");
  }
  const id = "select cluster_id::text as id from node.identity";
  expect(await rows(here.control.uri, id)).not.toEqual(await rows(there.control.uri, id));
});

test("one is killed whole, and the other goes on as it was", async () => {
  const before = await untilHealthy(theirs());
  const term = () => value(theirs().node(before.leader).control.uri, "select pgraft_get_term()");
  const was = await term();
  signalTree(() => ours().nodes.flatMap(({ id }) => ours().processesOf(id)), "SIGKILL");
  const { leader, primary, epoch } = await untilHealthy(theirs());
  expect({ leader, primary, epoch }).toEqual({
    leader: before.leader,
    primary: before.primary,
    epoch: before.epoch,
  });
  expect(await term()).toBe(was);
  // It comes back by itself, and finds what it had.
  await untilHealthy(ours(), 120_000);
  const uri = ours().node(1).control.uri;
  expect(await value(uri, "select pgraft_kv_get('whose')")).toBe("mine");
});
