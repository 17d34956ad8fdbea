import { expect, test } from "vitest";
import { WAITED_LONG_ENOUGH } from "../../src/client/call.ts";
import { Gate } from "../../src/client/gate.ts";
import { monotonicClock as clock } from "../../src/clock/clock.ts";

const soon = (ms = 5000) => ({ acquireUntil: clock.now() + ms, stop: undefined });

test("places go to the first who waits, and none is ever lost", async () => {
  const gate = new Gate(clock, 2, 10);
  expect([gate.tryEnter(), gate.tryEnter(), gate.tryEnter()]).toEqual([true, true, false]);
  const order: number[] = [];
  const waiting = [1, 2, 3].map((who) => gate.enter(soon()).then(() => order.push(who)));
  expect(gate.waiting).toBe(3);
  for (let left = 0; left < 5; left += 1) gate.leave();
  await Promise.all(waiting);
  expect(order).toEqual([1, 2, 3]);
  expect([gate.inUse, gate.waiting]).toEqual([0, 0]);
  gate.refuseAll(new Error("closed"));
});

test("the queue is bounded; who waits too long, stops, or is sent away takes no place", async () => {
  const gate = new Gate(clock, 1, 3);
  gate.tryEnter();
  const stop = new AbortController();
  const stopped = gate.enter({ ...soon(), stop: stop.signal });
  const late = gate.enter(soon(30));
  const refused = gate.enter(soon());
  await expect(gate.enter(soon())).rejects.toMatchObject({ code: "QUEUE_FULL" });
  stop.abort("enough");
  await expect(stopped).rejects.toBe("enough");
  await expect(late.catch((error: unknown) => error)).resolves.toBe(WAITED_LONG_ENOUGH);
  gate.refuseAll("closed");
  await expect(refused).rejects.toBe("closed");
  await expect(gate.enter({ ...soon(), stop: stop.signal })).rejects.toBe("enough");
  expect([gate.inUse, gate.waiting]).toEqual([1, 0]);
  gate.leave();
  expect(gate.tryEnter()).toBe(true);
});
