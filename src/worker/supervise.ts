/** A service that ends is started again, with growing pauses; too often in a short time is a failure. */
import type { Clock } from "../clock/clock.ts";
import type { Log } from "../log/logger.ts";

export interface Service {
  /** Resolves when the service has ended. */
  ended(): Promise<void>;
  start(): Promise<void>;
}

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5000;
/** After running this long a service counts as healthy again. */
const HEALTHY_MS = 30_000;

/** Runs until the signal aborts. */
export async function keepRunning(
  name: string,
  { clock, log, signal }: { clock: Clock; log: Log; signal: AbortSignal },
  service: Service,
): Promise<void> {
  let pause = FIRST_PAUSE_MS;
  while (!signal.aborted) {
    const since = clock.now();
    await Promise.race([service.ended(), aborted(signal)]);
    if (signal.aborted) return;
    if (clock.now() - since > HEALTHY_MS) pause = FIRST_PAUSE_MS;
    await clock.sleep(pause, signal);
    pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    try {
      await service.start();
      log.warn({ event: "worker.service_restarted", service: name }, `${name} was started again`);
    } catch (error) {
      log.error({ event: "worker.failed", service: name }, `${name} does not start: ${error}`);
    }
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
