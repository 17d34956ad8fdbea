#!/usr/bin/env node
/**
 * The program `pg-replica`. All it does itself: keep what is compiled of the rest, because a worker that was killed is
 * back within its node's lease only when it loads fast. The cache lies beside the program, so that nobody can put
 * anything there who could not change the program itself; where that folder cannot be written there is none.
 */
import { enableCompileCache } from "node:module";
import { join } from "node:path";

enableCompileCache(join(import.meta.dirname, "../../.cache"));
await import("./commands.ts");
