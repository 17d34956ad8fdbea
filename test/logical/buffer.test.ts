import { expect, test } from "vitest";
import { FrameBuffer } from "../../src/logical/buffer.ts";
import { Cursor } from "../../src/logical/cursor.ts";
import { heapMb } from "../support/leaks.ts";

const MB = 2 ** 20;

test("a frame that was taken is let go of, though the buffer is never empty", async () => {
  const buffer = new FrameBuffer({ events: 8192, bytes: 8 * MB });
  const cursor = new Cursor();
  const frames: WeakRef<Buffer>[] = [];
  const put = () => {
    const frame = Buffer.alloc(MB);
    frames.push(new WeakRef(frame));
    buffer.put(frame, 0, MB);
  };
  for (let count = 0; count < 8; count += 1) put();
  for (let count = 0; count < 100; count += 1) {
    expect(buffer.take(cursor)).toBe(true);
    put();
  }
  // A weak reference holds what it was given until the end of the job that made it.
  await new Promise((next) => setImmediate(next));
  heapMb(); // a full collection
  expect(buffer.length).toBe(8);
  // The eight, and the one that is being read; in all no more than twice the bound.
  const held = frames.filter((frame) => frame.deref() !== undefined);
  expect(held.length).toBeLessThanOrEqual(16);
});
