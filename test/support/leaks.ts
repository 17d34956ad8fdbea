/** What a process holds: memory that is still wanted, sockets and timers that are open. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose_gc");
const collect = runInNewContext("gc") as () => void;

/** Of the heap, what a full collection leaves, in MB. */
export function heapMb(): number {
  collect();
  collect(); // what the first one's finalizers let go
  return process.memoryUsage().heapUsed / 2 ** 20;
}

/** Open sockets and other things of the kernel that keep a process alive; timers, where `timers` asks for them. */
export function openHandles({ timers = false } = {}): number {
  return process
    .getActiveResourcesInfo()
    .filter((kind) => timers || !/Timeout|Immediate/.test(kind)).length;
}

/** Warnings of Node.js since then, such as of too many listeners. */
export function watchWarnings(): { stop(): string[] } {
  const heard: string[] = [];
  const hear = (warning: Error) => heard.push(`${warning.name}: ${warning.message}`);
  process.on("warning", hear);
  return {
    stop: () => {
      process.off("warning", hear);
      return heard;
    },
  };
}
