/** identity.json in the node's directory: who this node is, and the sign of an earlier life (H56). */
import { open, readFile, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { asJson } from "./json.ts";

const Founder = z.strictObject({
  id: z.int().min(1),
  name: z.string().min(1),
  host: z.string().min(1),
  port: z.int(),
  dataHost: z.string().optional(),
  dataPort: z.int().optional(),
});

const IdentityFile = z.strictObject({
  /** uuid v5 of the cluster's name and its initial members. */
  clusterId: z.uuid(),
  cluster: z.string().min(1),
  nodeId: z.int().min(1),
  name: z.string().min(1),
  /** Of the control store: a store made anew is another one. */
  incarnation: z.uuid(),
  /** The initial members: where the log begins, on every node alike. */
  founders: z.array(Founder),
  /** Who may log in to a store made anew, before its log tells. */
  introduced: z.array(z.int()),
});
export type Identity = Readonly<z.infer<typeof IdentityFile>>;

export function identityPath(nodeDir: string): string {
  return join(nodeDir, "identity.json");
}

/** Undefined when there is none. Throws when there is one that cannot be read or understood. */
export async function readIdentity(nodeDir: string): Promise<Identity | undefined> {
  const path = identityPath(nodeDir);
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const parsed = IdentityFile.safeParse(asJson(text));
  if (parsed.success) return parsed.data;
  throw new Error(
    `${path}: expected the identity that init wrote: ${z.prettifyError(parsed.error)}`,
  );
}

/** Written whole and durably: when this returns, it survives a crash. */
export async function writeIdentity(
  nodeDir: string,
  identity: Identity,
  owner?: { readonly uid: number; readonly gid: number },
): Promise<void> {
  const path = identityPath(nodeDir);
  const file = await open(`${path}.new`, "w", 0o644);
  try {
    await file.writeFile(`${JSON.stringify(IdentityFile.parse(identity), undefined, 2)}\n`);
    if (owner !== undefined) await file.chown(owner.uid, owner.gid);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  const folder = await open(dirname(path), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
