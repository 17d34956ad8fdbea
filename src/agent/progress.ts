/** How far long work is, told to people now and then. */
import type { Agent } from "./context.ts";

/** Between two notes. */
const PROGRESS_MS = 200;

/** Progress is for people: a lost note is no failure of the work. */
export function noteProgress(
  { store, clock }: Agent,
  job: "clone" | "rewind",
): (doneBytes: bigint, totalBytes: bigint | undefined) => void {
  let noted = Number.NEGATIVE_INFINITY;
  return (doneBytes, totalBytes) => {
    if (clock.now() - noted < PROGRESS_MS) return;
    noted = clock.now();
    store.setProgress({ job, phase: "copying", doneBytes, totalBytes }).catch(() => undefined);
  };
}
