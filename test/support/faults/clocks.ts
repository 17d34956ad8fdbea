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
  return await restarted(bed, id, { env }, told, maps(library));
}

const SLEPT_S = 3600;

/** As if the machine had slept: what is counted since boot is so much further than it was. */
function restartedLater(bed: Bed, id: number): Promise<Injected> {
  const offsets = ["--monotonic", `${SLEPT_S}`, "--boottime", `${SLEPT_S}`];
  const under = ["unshare", "--time", ...offsets];
  const told = { what: `node ${id} slept for ${SLEPT_S} s`, sees: "count from another boot" };
  return restarted(bed, id, { under }, told, countsFrom(SLEPT_S));
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

const maps = (library: string) => (pid: number) =>
  tells(pid, "maps", (text) => text.includes(library));

const countsFrom = (seconds: number) => (pid: number) =>
  tells(pid, "timens_offsets", (text) => new RegExp(`^boottime +${seconds} `, "m").test(text));

function tells(pid: number, file: string, isSo: (text: string) => boolean): boolean {
  try {
    return isSo(readFileSync(`/proc/${pid}/${file}`, "utf8"));
  } catch {
    return false; // it ended meanwhile
  }
}

/** What a server's own clock says, seconds ahead of ours. */
export async function secondsAhead(uri: string): Promise<number> {
  const told = Number(await value(uri, "select extract(epoch from clock_timestamp())"));
  return told - Date.now() / 1000;
}

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

type Restart = (bed: Bed, id: number) => Promise<Injected>;

const LASTS = [8000, 15_000] as const;

const ofAStandby = (restart: Restart) =>
  ({
    bound: "untouched",
    failover: "never",
    lasts: LASTS,
    inject: ({ bed, standbys, random }: Scene) => restart(bed, random.pick(standbys)),
  }) as const;

const ofThePrimary = (restart: Restart, bound: Fault["bound"] = "observed") =>
  ({
    bound,
    failover: "must",
    lasts: LASTS,
    inject: ({ bed, primary }: Scene) => restart(bed, primary),
  }) as const;

const FAKED = ["libfaketime"] as const;
const SLEEPER = ["time namespaces"] as const;
const clock =
  (spec: string, { monotonic = false } = {}): Restart =>
  (bed, id) =>
    restartedUnder(bed, id, { spec, monotonic });

export const CLOCKS: readonly Fault[] = [
  {
    id: "F30",
    name: "a standby comes back an hour ahead",
    needs: FAKED,
    ...ofAStandby(clock("+3600s")),
  },
  {
    id: "F30",
    name: "a standby comes back an hour behind",
    needs: FAKED,
    ...ofAStandby(clock("-3600s")),
  },
  {
    id: "F30",
    name: "the primary's node comes back an hour ahead",
    needs: FAKED,
    ...ofThePrimary(clock("+3600s")),
  },
  {
    id: "F30",
    name: "the primary's node comes back 45 s ahead",
    needs: FAKED,
    ...ofThePrimary(clock("+45s")),
  },
  {
    id: "F31",
    name: "a standby's clocks run twice as fast",
    needs: FAKED,
    ...ofAStandby(clock("+0 x2", { monotonic: true })),
  },
  {
    id: "F31",
    name: "a standby's clocks run at half speed",
    needs: FAKED,
    ...ofAStandby(clock("+0 x0.5", { monotonic: true })),
  },
  {
    id: "F32",
    name: "a standby's node was asleep for an hour",
    needs: SLEEPER,
    ...ofAStandby(restartedLater),
  },
  {
    id: "F32",
    name: "the primary's node was asleep for an hour",
    needs: SLEEPER,
    ...ofThePrimary(restartedLater),
  },
  {
    id: "F32",
    name: "the primary's worker comes back as if the machine had slept, and its server runs on",
    needs: SLEEPER,
    ...ofThePrimary(workerLater, "silent"),
  },
];
