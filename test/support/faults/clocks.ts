/** Clocks that are wrong, jump, or run at another rate: F30, F31. The host's own is never touched. */

import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Bed } from "../bed/bed.ts";
import { fakeTimeLibrary } from "../bed/capabilities.ts";
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
  const what = `clock of node ${id}: ${clock.spec}${clock.monotonic ? ", the monotonic one too" : ""}`;
  const at = now();
  await killed(bed, id);
  bed.keeper(id).start({
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_CACHE_DURATION: "1",
    ...(clock.monotonic ? {} : { FAKETIME_DONT_FAKE_MONOTONIC: "1" }),
  });
  return {
    at,
    what,
    proof: async () =>
      await until(`${what}: its server runs under it`, { limitMs: 20_000 }, () => {
        const preloaded = bed.serverOf(id, "control").filter(({ pid }) => maps(pid, library));
        if (preloaded.length === 0) throw new NotYet("not yet");
        return `${preloaded.length} processes see another time`;
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
];
