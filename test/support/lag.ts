/** Whether a time measured on this machine just now can be believed: an overloaded one judges nobody's speed. */
import { availableParallelism, loadavg } from "node:os";
import { monitorEventLoopDelay } from "node:perf_hooks";

/** Above this the timing of a sample is inconclusive, milliseconds (99th percentile of the own event loop's lag). */
const OVERLOADED_MS = 100;
/** Or above this many runnable processes per core, over a minute. */
const OVERLOADED_LOAD = 4;

/** Runnable processes per core, over the last minute. */
export function loadPerCore(): number {
  return (loadavg()[0] ?? 0) / availableParallelism();
}

/** Times measured under this lag and the machine's load say nothing. */
export function isOverloaded(lagMs = 0): boolean {
  return lagMs > OVERLOADED_MS || loadPerCore() > OVERLOADED_LOAD;
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
