/** What starting or stopping a node needs to know of this machine: who owns its servers, and which PostgreSQL. */
import { join } from "node:path";
import type { Config } from "../config/schema.ts";
import { type Binaries, findBinaries } from "../postgres/binaries.ts";
import { type Owner, serverOwner } from "../postgres/owner.ts";

export interface Programs {
  readonly owner: Owner | undefined;
  readonly binaries: Binaries;
}

/** Throws `UnknownOwner` or `BinariesNotFound`; both say what to do. */
export async function programsOf(
  config: Pick<Config, "runAs" | "binDir" | "dir">,
): Promise<Programs> {
  const owner = await serverOwner(config.runAs);
  const copyEmbeddedTo = join(config.dir, "postgres");
  const binaries = await findBinaries({ binDir: config.binDir, owner, copyEmbeddedTo });
  return { owner, binaries };
}
