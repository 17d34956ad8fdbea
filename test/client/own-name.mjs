/** Lets the examples import this package by its name, from the sources: nothing is built for them. */
import { registerHooks } from "node:module";

const OWN = {
  "pg-replica/client": "../../src/client/index.ts",
  "pg-replica/pool": "../../src/client/pg-pool.ts",
  "pg-replica/replication": "../../src/logical/index.ts",
};

registerHooks({
  resolve: (name, context, next) =>
    OWN[name] === undefined
      ? next(name, context)
      : next(new URL(OWN[name], import.meta.url).href, context),
});
