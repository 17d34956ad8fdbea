/** Disks of a node's own, small enough to be filled and real enough to lose what was not synced: ext4 on a file. */
import { chmod, chown, mkdir, rename, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { mustRun, run } from "../programs.ts";

export interface Volume {
  /** Where it is mounted. */
  readonly path: string;
  /** Bytes that can still be written. */
  free(): Promise<number>;
  /** Take all that is left; returns how many bytes are free now, which is what the fault is judged by. */
  fill(): Promise<number>;
  /** Give it back. */
  empty(): Promise<void>;
  /** Copy the file below the file system while it is in use: what a power cut would leave. */
  snapshot(): Promise<void>;
  /** Put the snapshot in the disk's place; nobody may use it now. */
  restore(): Promise<void>;
  /** Let the file system give up: every write is refused until it is repaired. */
  abort(): Promise<void>;
  /** Whether a write is refused. */
  refuses(): Promise<boolean>;
  /** Check it and mount it again; nobody may use it now. */
  repair(): Promise<void>;
  unmount(): Promise<void>;
}

export interface VolumeOptions {
  readonly image: string;
  readonly path: string;
  readonly megabytes: number;
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
}

const FILLER = "filler";

/** Make an empty one and mount it. */
export async function makeVolume(options: VolumeOptions): Promise<Volume> {
  const { image, path, megabytes, owner } = options;
  await writeFile(image, "");
  await truncate(image, megabytes * 1024 * 1024);
  await mustRun("mkfs.ext4", ["-q", "-F", "-m", "0", "-E", "lazy_itable_init=0", image]);
  await mkdir(path, { recursive: true });
  await mount(image, path);
  await rm(join(path, "lost+found"), { recursive: true });
  if (owner !== undefined) await chown(path, owner.uid, owner.gid);
  await chmod(path, 0o700);
  const snapshot = `${image}.cut`;
  const free = () => freeBytes(path);
  return {
    path,
    free,
    fill: async () => {
      const filler = join(path, FILLER);
      await run("fallocate", ["-l", `${await free()}`, filler]);
      // Reserved for no one: what is left is less than a block's worth of anything.
      await run("dd", ["if=/dev/zero", `of=${filler}.2`, "bs=4k", "status=none"]);
      return await free();
    },
    empty: async () => {
      await rm(join(path, FILLER), { force: true });
      await rm(join(path, `${FILLER}.2`), { force: true });
      // A power cut must not bring them back.
      await mustRun("sync", ["-f", path]);
    },
    snapshot: async () => void (await mustRun("cp", ["--sparse=always", image, snapshot])),
    restore: async () => {
      await mustRun("umount", [path]);
      await rename(snapshot, image);
      await mount(image, path);
    },
    abort: async () => void (await mustRun("mount", ["-o", "remount,abort", path])),
    refuses: async () => (await run("touch", [join(path, "refused")])).exitCode !== 0,
    repair: async () => {
      await mustRun("umount", [path]);
      // 1: something was wrong, and is right now.
      const { exitCode, stdout } = await run("e2fsck", ["-fy", image]);
      if (exitCode !== 0 && exitCode !== 1) throw new Error(`e2fsck of ${image}: ${stdout}`);
      await mount(image, path);
    },
    unmount: () => unmount(path),
  };
}

async function mount(image: string, path: string): Promise<void> {
  await mustRun("mount", ["-o", "loop,noatime", image, path]);
}

async function freeBytes(path: string): Promise<number> {
  const text = await mustRun("df", ["--output=avail", "-B1", path]);
  return Number(text.trim().split("\n").at(-1));
}

/** Also of one that is not mounted, or busy for a moment: the kernel takes a dead server's files away late. */
export async function unmount(path: string): Promise<void> {
  for (let round = 0; round < 50; round++) {
    const { exitCode, stderr } = await run("umount", [path]);
    if (exitCode === 0 || /not mounted|no mount point/.test(stderr)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await mustRun("umount", [path]);
}

/** Everything that is mounted below a folder. */
export async function mountsBelow(folder: string): Promise<string[]> {
  const table = await mustRun("findmnt", ["-rno", "TARGET"]);
  return table
    .split("\n")
    .filter((path) => path.startsWith(`${folder}/`))
    .toReversed();
}
