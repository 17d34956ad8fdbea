/** Whether a time measured on this machine just now can be believed: an overloaded one judges nobody's speed. */
import { readFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { monitorEventLoopDelay } from "node:perf_hooks";

/** Above this the timing of a sample is inconclusive, milliseconds (99th percentile of the own event loop's lag). */
const OVERLOADED_MS = 100;
/** Or above this many runnable processes per core, over a minute. */
const OVERLOADED_LOAD = 4;
/** Or when the host has given more than this part of the processors' time to others. */
const OVERLOADED_STOLEN = 0.1;

/** Ticks of all processors since boot; none where there is no /proc. */
function ticks(): { readonly all: number; readonly stolen: number } {
  if (process.platform !== "linux") return { all: 0, stolen: 0 };
  const [line = ""] = readFileSync("/proc/stat", "utf8").split("\n");
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, soft = 0, stolen = 0] = line
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return { all: user + nice + system + idle + wait + irq + soft + stolen, stolen };
}

const began = ticks();

/** The part of the time, since this file of tests began, that the host gave to others while it was wanted here. */
function stolenPart(): number {
  const now = ticks();
  return (now.stolen - began.stolen) / Math.max(1, now.all - began.all);
}

/** Runnable processes per core, over the last minute. */
export function loadPerCore(): number {
  return (loadavg()[0] ?? 0) / availableParallelism();
}

/** Times measured under this lag, the machine's load, and what the host leaves of it say nothing. */
export function isOverloaded(lagMs = 0): boolean {
  return (
    lagMs > OVERLOADED_MS || loadPerCore() > OVERLOADED_LOAD || stolenPart() > OVERLOADED_STOLEN
  );
}

export interface LagWatch {
  /** 99th percentile since the start, milliseconds. */
  stop(): number;
}

/** Watch the lag of this process's event loop. */
export function watchLag(): LagWatch {
  const resolution = 10;
  const monitor = monitorEventLoopDelay({ resolution });
  monitor.enable();
  return {
    stop: () => {
      monitor.disable();
      return Math.max(0, monitor.percentile(99) / 1e6 - resolution);
    },
  };
}
