/**
 * Places between the steps of a promotion where a test may end this process (F35). `HA_FP=promote:kill` ends it the
 * first time it comes past `promote`. Read once; without that variable nothing ever happens here.
 */
const STEPS = ["pledge", "seed", "settings", "promote", "stamp", "gate"] as const;
export type FailPoint = (typeof STEPS)[number];

const [wanted, what] = (process.env.HA_FP ?? "").split(":");
if (wanted !== "" && !(what === "kill" && STEPS.some((step) => step === wanted))) {
  throw new Error(
    `HA_FP: ${process.env.HA_FP}: expected STEP:kill, STEP one of ${STEPS.join(", ")}`,
  );
}

/** Passed right after the step of that name is done. */
export function failPoint(step: FailPoint): void {
  if (step === wanted) process.kill(process.pid, "SIGKILL");
}
