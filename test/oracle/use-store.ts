/** One acceptor's store on PGlite for the tests of a file; the function gives it to them. */
import { afterAll, beforeAll } from "vitest";
import { type Database, openPglite } from "./database.ts";
import { Store } from "./store.ts";

export function useStore(): () => Store {
  let pglite: Database;
  let store: Store;
  beforeAll(async () => {
    pglite = await openPglite();
    store = await Store.create(1, pglite);
  }, 300_000);
  afterAll(() => pglite.close());
  return () => store;
}
