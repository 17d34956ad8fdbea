/** Certificates for tests, by the demo's own authority. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Authority, createAuthority, type Subject } from "../../src/cli/demo/certificates.ts";
import type { TlsPaths } from "../../src/config/certificates.ts";

export { type Authority, createAuthority };

/** `NAME.ca`, `NAME.crt` and `NAME.key` in `dir`. */
export async function issueInto(
  dir: string,
  name: string,
  authority: Authority,
  subject: Subject,
): Promise<TlsPaths> {
  const paths = {
    ca: join(dir, `${name}.ca`),
    cert: join(dir, `${name}.crt`),
    key: join(dir, `${name}.key`),
  };
  const { cert, key } = authority.issue(subject);
  await writeFile(paths.ca, authority.cert);
  await writeFile(paths.cert, cert);
  await writeFile(paths.key, key, { mode: 0o600 });
  return paths;
}
