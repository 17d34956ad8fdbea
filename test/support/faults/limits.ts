/** What a host runs out of, and an event loop that stands still: F44, F45, F46. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { mkdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Bed } from "../bed/bed.ts";
import { MEMORY } from "../bed/capabilities.ts";
import { type Process, readProcess, stillAlive, untilGone } from "../processes.ts";
import { mustRun } from "../programs.ts";
import { hangUp, open } from "../sql.ts";
import { NotYet, until } from "../until.ts";
import { type Fault, type Injected, nothing, now } from "./fault.ts";

const BACKEND_MB = 48;

/** The kernel kills a backend that asks for more memory than its group has. */
async function outOfMemory(bed: Bed, id: number): Promise<Injected> {
  const group = `${MEMORY}/${basename(bed.top)}-${id}`;
  await mkdir(group);
  await writeFile(`${group}/memory.limit_in_bytes`, `${BACKEND_MB}M`);
  const client = await open(bed.node(id).data.uri);
  const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
  const backend = readProcess(rows[0]?.pid ?? 0);
  if (backend === undefined) throw new Error("the client's backend is not there");
  await writeFile(`${group}/cgroup.procs`, `${backend.pid}`);
  const at = now();
  const greedy = client.query(`select length(repeat('x', ${4 * BACKEND_MB} * 1024 * 1024))`);
  greedy.catch(() => undefined); // its backend ends
  return {
    at,
    what: `backend ${backend.pid} of node ${id} has no memory left`,
    proof: async () => {
      await untilGone([backend], 10_000);
      const count = (await readFile(`${group}/memory.failcnt`, "utf8")).trim();
      if (count === "0") throw new Error("it died of something else");
      return `it is gone; its limit was met ${count} times`;
    },
    heal: async () => {
      hangUp(client);
      await until("the group is empty", { limitMs: 10_000 }, async () => {
        await rmdir(group);
        return true;
      });
    },
  };
}

/** The worker's only thread waits; its sockets are open, and nobody reads them. */
async function blocked(bed: Bed, id: number, ms: 500 | 3000): Promise<Injected> {
  const [worker] = bed.workerOf(id);
  if (worker === undefined) throw new Error(`the worker of node ${id} does not run`);
  const said = join(bed.logs()[id - 1] ?? "", "worker.log");
  const from = (await readFile(said, "utf8")).length;
  const at = now();
  process.kill(worker.pid, ms === 500 ? "SIGWINCH" : "SIGUSR2");
  return {
    at,
    what: `event loop of node ${id} blocked for ${ms} ms`,
    proof: async () =>
      await until("it stood still", { limitMs: 5000 }, async () => {
        const text = (await readFile(said, "utf8")).slice(from);
        if (!text.includes(`blocked for ${ms} ms`)) throw new NotYet("not yet");
        return "it says so";
      }),
    heal: nothing,
  };
}

function openFiles({ pid }: Process): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** No file and no socket more than it has now; `most`: than so many, and whatever it closes stays closed. */
async function outOfFiles(
  what: string,
  found: readonly Process[],
  most = Number.POSITIVE_INFINITY,
): Promise<Injected> {
  const [one] = found;
  if (one === undefined) throw new Error(`${what}: it does not run`);
  const limit = /Max open files\s+(\d+)\s+(\d+)/.exec(
    readFileSync(`/proc/${one.pid}/limits`, "utf8"),
  );
  const [, soft = "1024", hard = "1024"] = limit ?? [];
  const has = openFiles(one);
  const left = Math.min(has, most);
  // In its own name: another user's limits are changed with a capability that root may lack.
  const { uid, gid } = statSync(`/proc/${one.pid}`);
  const as = [`--reuid=${uid}`, `--regid=${gid}`, "--clear-groups"];
  const put = (to: string) =>
    mustRun("setpriv", [...as, "prlimit", "--pid", `${one.pid}`, `--nofile=${to}`]);
  const at = now();
  await put(`${left}:${hard}`);
  return {
    at,
    what,
    proof: async () => {
      const now = /Max open files\s+(\d+)/.exec(readFileSync(`/proc/${one.pid}/limits`, "utf8"));
      if (now?.[1] !== `${left}`) throw new Error(`its limit is ${now?.[1]}`);
      return `it has ${has} open, and may open ${left}`;
    },
    heal: async () => {
      if (stillAlive(one)) await put(`${soft}:${hard}`);
    },
  };
}

export const LIMITS: readonly Fault[] = [
  {
    id: "F44",
    name: "a backend of the primary is killed for lack of memory",
    needs: ["cgroup memory"],
    bound: "observed",
    failover: "must",
    lasts: [1000, 3000],
    inject: ({ bed, primary }) => outOfMemory(bed, primary),
  },
  {
    id: "F45",
    name: "the event loop of the primary's worker stands still for half a second",
    needs: [],
    bound: "untouched",
    failover: "never",
    lasts: [500, 700],
    inject: ({ bed, primary }) => blocked(bed, primary, 500),
  },
  {
    id: "F45",
    name: "the event loop of the leader's worker stands still for three seconds",
    needs: [],
    bound: "silent",
    failover: "may",
    lasts: [3000, 4000],
    inject: ({ bed, leader }) => blocked(bed, leader, 3000),
  },
  {
    id: "F46",
    name: "the primary's worker can open no file",
    needs: ["root"],
    bound: "silent",
    failover: "may",
    lasts: [4000, 8000],
    inject: ({ bed, primary }) =>
      outOfFiles(`worker of node ${primary} has no file left`, bed.workerOf(primary)),
  },
  {
    id: "F46",
    name: "the primary's worker can open no file, nor reopen one that it closes",
    needs: ["root"],
    bound: "silent",
    failover: "may",
    lasts: [4000, 8000],
    inject: ({ bed, primary }) =>
      outOfFiles(`worker of node ${primary} may open nothing`, bed.workerOf(primary), 4),
  },
  {
    id: "F46",
    name: "the primary's postmaster can open no file",
    needs: ["root"],
    bound: "silent",
    failover: "may",
    lasts: [4000, 8000],
    inject: ({ bed, primary }) => {
      const { pid } = bed.node(primary).data;
      const found = readProcess(pid ?? 0);
      return outOfFiles(
        `postmaster of node ${primary} has no file left`,
        found === undefined ? [] : [found],
      );
    },
  },
];
