/** A control store and a data server of their own for a test file, for what is the same on both. */
import { afterAll, beforeAll } from "vitest";
import { install } from "../../../src/db/install.ts";
import { openScratch, type Scratch, type ScratchServer } from "../../support/scratch.ts";
import { openStore } from "./stores.ts";

export const KINDS = ["control store", "data server"] as const;
export type Kind = (typeof KINDS)[number];

/** Told by their kind; there from the first `beforeAll` on. */
export function useBothServers(name: string): (kind: Kind) => ScratchServer {
  let scratch: Scratch;
  let servers: Record<Kind, ScratchServer>;
  beforeAll(async () => {
    scratch = await openScratch(name);
    const { server: store } = await openStore(scratch, 1);
    const data = await scratch.start();
    await install(await data.connect(), "data");
    servers = { "control store": store, "data server": data };
  }, 90_000);
  afterAll(() => scratch.close());
  return (kind) => servers[kind];
}
