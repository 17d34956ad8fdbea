/**
 * Room that is given back when the control store's volume is full (H66): a damaged store that was kept aside, and a
 * file of 64 MB.
 */
import { open, rename, statfs } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { type Clock, untilBeat } from "../clock/clock.ts";
import type { Config } from "../config/schema.ts";
import type { Log } from "../log/logger.ts";
import { exists, hasCode, removeTree, syncDirectory } from "../postgres/files.ts";

const SIZE_MB = 64;
/** Laid down only where this much stays free beside it. */
const SPARE_MB = 192;
/** Given back before the store itself meets the end: a checkpoint and a segment of WAL need less. */
const LEAST_FREE_MB = 8;
const LOOK_MS = 5000;
/** A node that has just started has better things to write. */
const LAY_AFTER_MS = 60_000;
/** A volume as full as this is worth a word. */
const ALARM_PART = 0.8;
const MB = 1024 * 1024;

export function ballastPath({ control }: Pick<Config, "control">): string {
  return `${control.dir}.ballast`;
}

/** Where the store goes whose place a new life takes: kept for who wants to look at it. */
export function formerPath({ control }: Pick<Config, "control">): string {
  return `${control.dir}.former`;
}

/** What was given back, the least missed first; undefined: there is nothing left to give. */
export async function giveRoom(config: Pick<Config, "control">): Promise<string | undefined> {
  for (const path of [formerPath(config), ballastPath(config)]) {
    if (!(await exists(path))) continue;
    await removeTree(path);
    return basename(path);
  }
  return undefined;
}

/** Whether an error, or the end of a server's log in it, says that the disk is full. */
export function isDiskFull(error: unknown): boolean {
  return hasCode(error, "ENOSPC") || /No space left on device|disk full/i.test(String(error));
}

/**
 * What finds its volume full gets the room that was kept for it (H66): whatever a start writes first, a file of
 * ours, a log, a segment or a commit.
 */
export async function withRoom<T>(
  config: Pick<Config, "control">,
  log: Log,
  act: () => Promise<T>,
): Promise<T> {
  try {
    return await act();
  } catch (error) {
    const given = isDiskFull(error) ? await giveRoom(config) : undefined;
    if (given === undefined) throw error;
    const fields = { event: "control.disk", error: String(error) } as const;
    log.error(fields, `no space for the control store: ${given} is gone`);
    return await withRoom(config, log, act);
  }
}

/** Runs until the signal aborts: lays the ballast, watches the volume, gives the ballast back in time. */
export async function keepBallast(
  config: Pick<Config, "control">,
  {
    clock,
    log,
    signal,
  }: { readonly clock: Clock; readonly log: Log; readonly signal: AbortSignal },
): Promise<void> {
  let alarmed = false;
  const started = clock.now();
  while (!signal.aborted) {
    await clock.sleep(untilBeat(clock.now(), LOOK_MS), signal);
    if (signal.aborted) return;
    try {
      const { freeMb, usedPart } = await volumeOf(config);
      const given = freeMb < LEAST_FREE_MB ? await giveRoom(config) : undefined;
      if (given !== undefined) {
        const fields = { event: "control.disk", freeMb } as const;
        log.error(fields, `the control store's volume is full: ${given} is gone`);
      } else if (
        clock.now() - started >= LAY_AFTER_MS &&
        freeMb > SIZE_MB + SPARE_MB &&
        !(await exists(ballastPath(config)))
      ) {
        await layBallast(config);
      }
      if (usedPart >= ALARM_PART && !alarmed) {
        log.warn(
          { event: "control.disk", freeMb },
          "the control store's volume is more than 80 % full",
        );
      }
      alarmed = usedPart >= ALARM_PART;
    } catch (error) {
      log.warn({ event: "control.disk", error: String(error) }, "could not look after the ballast");
    }
  }
}

async function volumeOf({ control }: Pick<Config, "control">) {
  const { bavail, bsize, blocks } = await statfs(dirname(control.dir));
  return { freeMb: Math.floor((bavail * bsize) / MB), usedPart: 1 - bavail / Math.max(blocks, 1) };
}

/** Whole or not at all. */
async function layBallast(config: Pick<Config, "control">): Promise<void> {
  const path = ballastPath(config);
  const aside = `${path}.tmp`;
  const file = await open(aside, "w", 0o600);
  try {
    const block = Buffer.alloc(MB);
    for (let written = 0; written < SIZE_MB; written += 1) await file.write(block);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(aside, path);
  await syncDirectory(dirname(path));
}
