/**
 * Who owns the servers: PostgreSQL refuses to run as root, so a worker started as root names
 * another OS user.
 */
import { runProgram } from "./run.ts";

/** An OS user; servers and their files belong to it. */
export interface Owner {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

export class UnknownOwner extends Error {
  override readonly name = "UnknownOwner";
}

/**
 * The user that servers run as, when we are root; undefined otherwise: then it is ourselves.
 * Throws `UnknownOwner` when `runAs` does not exist or is root itself.
 */
export async function serverOwner(runAs: string): Promise<Owner | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const [uid, gid] = await Promise.all([idOf("-u", runAs), idOf("-g", runAs)]);
  if (uid === 0) {
    throw new UnknownOwner(`run_as: "${runAs}" is root, and PostgreSQL refuses to run as root`);
  }
  return { name: runAs, uid, gid };
}

/** `id` asks every source of users the system has, not only /etc/passwd. */
async function idOf(option: "-u" | "-g", user: string): Promise<number> {
  const { exitCode, stdout } = await runProgram("id", [option, "--", user], { limitMs: 5000 });
  if (exitCode !== 0 || !/^\d+\s*$/.test(stdout)) {
    throw new UnknownOwner(`run_as: there is no OS user "${user}"; create it or name another`);
  }
  return Number(stdout);
}
