/**
 * The control plane is small, and decides what everybody waits for: where hundreds of backends want the processor, it
 * goes before them. What it starts does not, but for the control store, halfway. It takes a privilege (root,
 * CAP_SYS_NICE, or a service manager that gives it): without it all are alike, as before.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { constants, getPriority, setPriority } from "node:os";

/** Of the worker and its deadman, the control store, and everything else we start, as nice values. */
export const NICE = { worker: -10, control: -5, others: constants.priority.PRIORITY_NORMAL };

/** This process's own, and that of its session where the kernel shares the processor among those. */
export function goFirst(): "raised" | "not permitted" {
  try {
    if (getPriority() > NICE.worker) setPriority(NICE.worker);
    if (leadsSession()) writeFileSync("/proc/self/autogroup", `${NICE.worker}`);
    return "raised";
  } catch {
    return "not permitted";
  }
}

/** A child, right after its start: what it starts itself inherits it. Only ever upwards from where we stand. */
export function putNice(pid: number, nice: number): void {
  if (getPriority() >= nice) return;
  try {
    setPriority(pid, nice);
  } catch {
    return; // it has ended
  }
}

/** Linux alone has such groups; a session that is somebody else's is left as it is. */
function leadsSession(): boolean {
  try {
    const stat = readFileSync("/proc/self/stat", "utf8");
    const session = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[3];
    return session === `${process.pid}` && readFileSync("/proc/self/autogroup", "utf8") !== "";
  } catch {
    return false;
  }
}
