/** Two of three control stores for a test file: node 1 leads, the third is nowhere. New state before each test. */
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { openScratch, type Scratch } from "../../support/scratch.ts";
import { elect, openStore, type Store, threeMembers } from "./stores.ts";

// A test file runs in a process of its own: these are its own, there from the first `beforeAll` on.
export let scratch: Scratch;
export let leader: Store;
export let follower: Store;
export let stores: readonly Store[];
/** Stopped after each test. */
export const working: { stop(): Promise<void> }[] = [];

export function useTwoStores(name: string): void {
  beforeAll(async () => {
    scratch = await openScratch(name);
    leader = await openStore(scratch, 1);
    follower = await openStore(scratch, 2);
    stores = [leader, follower];
  }, 60_000);
  beforeEach(async () => {
    await threeMembers(stores);
    await elect(stores, 1);
  });
  afterEach(async () => {
    for (const worker of working.splice(0)) await worker.stop();
  });
  afterAll(() => scratch.close());
}
