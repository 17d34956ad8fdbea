/** Loaded into a worker of the test bed: on a signal its only thread waits, as one does in a long computation (F45). */
import { writeSync } from "node:fs";

function waitFor(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  writeSync(2, `blocked for ${ms} ms\n`);
}
process.on("SIGWINCH", () => waitFor(500));
process.on("SIGUSR2", () => waitFor(3000));
