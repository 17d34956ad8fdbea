/** Whether a time measured on this machine just now can be believed: an overloaded one judges nobody's speed. */
import { monitorEventLoopDelay } from "node:perf_hooks";

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
