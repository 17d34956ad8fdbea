/** A test that cannot run here says why, on the screen and in the report. */
import type { TestContext } from "vitest";

export function skip(context: TestContext, reason: string): never {
  console.log(`skipped: ${reason}`);
  context.skip(reason);
}
