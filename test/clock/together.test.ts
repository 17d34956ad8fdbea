/** A loop that fails takes its neighbours with it, and nobody waits for those that would go on for ever. */
import { expect, test } from "vitest";
import { monotonicClock } from "../../src/clock/clock.ts";
import { together } from "../../src/clock/together.ts";

const HOUR_MS = 3_600_000;
const clock = monotonicClock;
const never = { signal: new AbortController().signal, clock };

/** Until its signal aborts; says so. */
const loop = (signal: AbortSignal, ended: string[], name: string) =>
  monotonicClock.sleep(HOUR_MS, signal).then(() => void ended.push(name));

test("the first that fails ends the others, and its failure is told once they have ended", async () => {
  const ended: string[] = [];
  const running = together(never, (signal) => [
    loop(signal, ended, "one"),
    Promise.reject(new Error("no file left")),
    loop(signal, ended, "two"),
  ]);
  await expect(running).rejects.toThrow("no file left");
  expect(ended).toEqual(["one", "two"]);
});

test("one that stands still is not waited for when another has failed", async () => {
  // Its time passes at once.
  const hasty = { ...clock, sleep: (_: number, signal?: AbortSignal) => clock.sleep(1, signal) };
  const running = together({ ...never, clock: hasty }, () => [
    Promise.reject(new Error("no file left")),
    new Promise<void>(() => undefined),
  ]);
  await expect(running).rejects.toThrow("no file left");
});

test("so does the first that ends by itself, and the signal from outside", async () => {
  const ended: string[] = [];
  await together(never, (signal) => [Promise.resolve(), loop(signal, ended, "one")]);
  expect(ended).toEqual(["one"]);
  const outside = new AbortController();
  const running = together({ signal: outside.signal, clock }, (signal) => [
    loop(signal, ended, "two"),
  ]);
  outside.abort();
  await running;
  expect(ended).toEqual(["one", "two"]);
});
