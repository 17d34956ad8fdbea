/** When an answer takes unusually long: learnt from those before it. */
import { expect, test } from "vitest";
import { Usual } from "../../src/client/usual.ts";
import { Random } from "../support/random.ts";

const SEED = process.env.SEED ?? String(Date.now() % 100_000);

test(`of many answers about one in twenty takes longer, SEED=${SEED}`, () => {
  const random = new Random(SEED);
  const usual = new Usual();
  let longer = 0;
  for (let turn = 0; turn < 20_000; turn += 1) {
    const tookMs = random.int(5000, 15_000) / 1000;
    if (turn >= 2000 && tookMs > usual.limitMs("select 1")) longer += 1;
    usual.learn("select 1", tookMs);
  }
  expect(longer / 18_000).toBeGreaterThan(0.02);
  expect(longer / 18_000).toBeLessThan(0.1);
});

test("each statement has its own, and follows when all its answers take longer", () => {
  const usual = new Usual();
  for (let turn = 0; turn < 500; turn += 1) usual.learn("quick", 2);
  usual.learn("slow", 300);
  expect(usual.limitMs("quick")).toBeLessThan(3);
  expect(usual.limitMs("slow")).toBe(600);
  for (let turn = 0; turn < 100; turn += 1) usual.learn("quick", 40);
  expect(usual.limitMs("quick")).toBeGreaterThan(35);
});

test("it is never below a millisecond, 10 before the first answer, and remembers so many statements", () => {
  const usual = new Usual();
  expect(usual.limitMs("new")).toBe(10);
  usual.learn("new", 0.01);
  expect(usual.limitMs("new")).toBe(1);
  for (let turn = 0; turn < 256; turn += 1) usual.learn(`other ${turn}`, 5);
  expect(usual.limitMs("new")).toBe(10);
  expect(usual.limitMs("other 255")).toBe(10);
});
