/** A loop that turns no more ends its worker; one that was frozen with it has missed the looks as well. */
import { expect, test } from "vitest";
import { whileMoving } from "../../src/agent/loop.ts";
import type { Clock } from "../../src/clock/clock.ts";

/** Every look comes at once; `each` is called before it, with its number. */
function looks(each: (look: number) => void): Clock {
  let look = 0;
  return {
    now: () => 0,
    sleep: async () => {
      look += 1;
      each(look);
    },
  };
}

test("six looks without a turn end it", async () => {
  let last = 0;
  const clock = looks((look) => {
    last = look;
  });
  const stands = whileMoving(() => 7, clock, new AbortController().signal);
  await expect(stands).rejects.toThrow("the agent's loop has stood still for 30 s");
  expect(last).toBe(6);
});

test("a turn now and then is enough", async () => {
  const end = new AbortController();
  let turn = 0;
  const clock = looks((look) => {
    if (look % 6 === 5) turn += 1;
    if (look === 60) end.abort();
  });
  await whileMoving(() => turn, clock, end.signal);
  expect(turn).toBe(10);
});
