/** Clocks that are wrong, jump, or run at another rate: F30 to F32. The host's own is never touched. */

import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Bed } from "../bed/bed.ts";
import { fakeTimeLibrary } from "../bed/capabilities.ts";
import type { Keeper, Start } from "../bed/keeper.ts";
import { untilGone } from "../processes.ts";
import { value } from "../sql.ts";
import { NotYet, until } from "../until.ts";
import { killNode } from "./crashes.ts";
import { type Fault, type Injected, now, type Scene } from "./fault.ts";

interface Clock {
  /** As libfaketime understands it. */
  readonly spec: string;
  /** Whether the monotonic clock is wrong too. */
  readonly monotonic: boolean;
}

/** The node is killed and comes back under another clock; healing does the same with the right one. */
async function restartedUnder(bed: Bed, id: number, clock: Clock): Promise<Injected> {
  const library = await fakeTimeLibrary();
  if (library === undefined) throw new Error("libfaketime is gone");
  const file = join(bed.top, `node${id}`, "clock");
  await writeFile(file, clock.spec, { mode: 0o644 });
  const env = {
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_CACHE_DURATION: "1",
    ...(clock.monotonic ? {} : { FAKETIME_DONT_FAKE_MONOTONIC: "1" }),
  };
  const what = `clock of node ${id}: ${clock.spec}${clock.monotonic ? ", the monotonic one too" : ""}`;
  const told = { what, sees: "see another time" };
  return await restarted(bed, id, { env }, told, (pid) => maps(pid, library));
}

/** As if the machine had slept: what is counted since boot is so much further than it was. */
function restartedLater(bed: Bed, id: number, seconds: number): Promise<Injected> {
  const offsets = ["--monotonic", `${seconds}`, "--boottime", `${seconds}`];
  const under = ["unshare", "--time", ...offsets];
  const told = { what: `node ${id} slept for ${seconds} s`, sees: "count from another boot" };
  return restarted(bed, id, { under }, told, countsFrom(seconds));
}

async function restarted(
  bed: Bed,
  id: number,
  start: Start,
  { what, sees }: { readonly what: string; readonly sees: string },
  isUnder: (pid: number) => boolean,
): Promise<Injected> {
  const at = now();
  await killed(bed, id);
  bed.keeper(id).start(start);
  return {
    at,
    what,
    proof: async () =>
      await until(`${what}: its server runs under it`, { limitMs: 20_000 }, () => {
        const under = bed.serverOf(id, "control").filter(({ pid }) => isUnder(pid));
        if (under.length === 0) throw new NotYet("not yet");
        return `${under.length} processes ${sees}`;
      }),
    heal: async () => {
      await killed(bed, id);
      bed.keeper(id).start();
    },
  };
}

async function killed(bed: Bed, id: number): Promise<void> {
  bed.keeper(id).hold();
  const dead = killNode(bed, id);
  await dead.proof();
  await bed.keeper(id).end();
  await untilGone(bed.processesOf(id), 5000);
}

function maps(pid: number, library: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/maps`, "utf8").includes(library);
  } catch {
    return false; // it ended meanwhile
  }
}

const countsFrom = (seconds: number) => (pid: number) => {
  try {
    const offsets = readFileSync(`/proc/${pid}/timens_offsets`, "utf8");
    return new RegExp(`^boottime +${seconds} `, "m").test(offsets);
  } catch {
    return false; // it ended meanwhile
  }
};

/** What a server's own clock says, seconds ahead of ours. */
export async function secondsAhead(uri: string): Promise<number> {
  const told = Number(await value(uri, "select extract(epoch from clock_timestamp())"));
  return told - Date.now() / 1000;
}

function clock(id: string, name: string, spec: Clock, more: Partial<Fault> = {}): Fault {
  return {
    id,
    name,
    needs: ["libfaketime"],
    bound: "untouched",
    failover: "never",
    lasts: [8000, 15_000],
    inject: ({ bed, standbys, random }: Scene) => restartedUnder(bed, random.pick(standbys), spec),
    ...more,
  };
}

export const CLOCKS: readonly Fault[] = [
  clock("F30", "a standby comes back an hour ahead", { spec: "+3600s", monotonic: false }),
  clock("F30", "a standby comes back an hour behind", { spec: "-3600s", monotonic: false }),
  clock(
    "F30",
    "the primary's node comes back an hour ahead",
    { spec: "+3600s", monotonic: false },
    {
      bound: "observed",
      failover: "must",
      inject: ({ bed, primary }) =>
        restartedUnder(bed, primary, { spec: "+3600s", monotonic: false }),
    },
  ),
  clock(
    "F30",
    "the primary's node comes back 45 s ahead",
    { spec: "+45s", monotonic: false },
    {
      bound: "observed",
      failover: "must",
      inject: ({ bed, primary }) =>
        restartedUnder(bed, primary, { spec: "+45s", monotonic: false }),
    },
  ),
  clock("F31", "a standby's clocks run twice as fast", { spec: "+0 x2", monotonic: true }),
  clock("F31", "a standby's clocks run at half speed", { spec: "+0 x0.5", monotonic: true }),
  {
    id: "F32",
    name: "a standby's node was asleep for an hour",
    needs: ["time namespaces"],
    bound: "untouched",
    failover: "never",
    lasts: [8000, 15_000],
    inject: ({ bed, standbys, random }) => restartedLater(bed, random.pick(standbys), SLEPT_S),
  },
  {
    id: "F32",
    name: "the primary's node was asleep for an hour",
    needs: ["time namespaces"],
    bound: "observed",
    failover: "must",
    lasts: [8000, 15_000],
    inject: ({ bed, primary }) => restartedLater(bed, primary, SLEPT_S),
  },
  {
    id: "F32",
    name: "the primary's worker comes back as if the machine had slept, and its server runs on",
    needs: ["time namespaces"],
    bound: "silent",
    failover: "must",
    lasts: [8000, 15_000],
    inject: ({ bed, primary }) => workerLater(bed, primary),
  },
];

const SLEPT_S = 3600;

/** The lease on record is long over by its clock: the worker fences first, and asks afterwards (D7). */
async function workerLater(bed: Bed, id: number): Promise<Injected> {
  const under = ["unshare", "--time", "--boottime", `${SLEPT_S}`];
  const isUnder = countsFrom(SLEPT_S);
  const keeper = bed.keeper(id);
  const at = now();
  await replaced(keeper, { under });
  return {
    at,
    what: `worker of node ${id} woke up ${SLEPT_S} s later, its server ran on`,
    proof: async () =>
      await until("the worker counts from another boot", { limitMs: 20_000 }, () =>
        keeper.pid !== undefined && isUnder(keeper.pid) ? `worker ${keeper.pid} does` : undefined,
      ),
    heal: () => replaced(keeper, {}),
  };
}

/** The worker alone is killed, and another started. */
async function replaced(keeper: Keeper, start: Start): Promise<void> {
  const { pid } = keeper;
  keeper.hold();
  if (pid !== undefined) process.kill(pid, "SIGKILL");
  await keeper.end();
  keeper.start(start);
}
