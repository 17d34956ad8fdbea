/** A base backup is a whole, durable and startable copy, whatever happens while it is taken. */
import { lstat, mkdir, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseLsn } from "../../src/core/ids.ts";
import { type BaseBackupOptions, takeBaseBackup } from "../../src/replication/base-backup.ts";
import { fetchTimelineHistory, identifySystem } from "../../src/replication/commands.ts";
import { mustRun } from "../support/programs.ts";
import { caughtUp, clock, flavours, type Lab, type LabServer, logOf, openLab } from "./lab.ts";

const IN_PLACE = { allow_in_place_tablespaces: "on" };

describe.each(await flavours())("$name", ({ binDir }) => {
  let lab: Lab;
  let primary: LabServer;
  beforeAll(async () => {
    lab = await openLab(binDir);
    primary = await lab.primary("primary");
    const away = await lab.folder("away");
    await primary.sql(`create tablespace away location '${away}'`);
    await primary.sql(`
      create table ledger (id int primary key, text text);
      insert into ledger select g, md5(g::text) from generate_series(1, 100000) g;
      create table ledger_away tablespace away as select * from ledger where id <= 10000;
      create unlogged table scratch as select * from ledger;
      create role reader login password 'secret';`);
  });
  afterAll(() => lab.close());

  const options = (name: string, from = primary): BaseBackupOptions => ({
    host: from.host,
    port: from.port,
    user: from.user,
    dir: lab.path(name),
    owner: lab.owner,
    label: `it's for ${name}`,
    clock,
    signal: new AbortController().signal,
  });

  test("it starts as a standby with equal data, though writers never paused", async () => {
    const writers = startWriters(primary, 2);
    const backup = await takeBaseBackup(options("standby"));
    const standby = await lab.standby(lab.path("standby"), primary, IN_PLACE);
    const written = await writers.stop();
    await caughtUp(standby, primary);
    expect(written).toBeGreaterThan(0);
    expect(await contents(standby)).toEqual(await contents(primary));
    expect(await standby.sql("select rolname, rolpassword from pg_authid order by 1")).toEqual(
      await primary.sql("select rolname, rolpassword from pg_authid order by 1"),
    );
    expect(backup.endLsn > backup.startLsn).toBe(true);
    await standby.process.stop("fast", 20_000);
  });

  test("its answer is what backup_label and the server say", async () => {
    const progress: [bigint, bigint | undefined][] = [];
    const from = options("label");
    const before = parseLsn(await primary.value("select pg_current_wal_lsn()"));
    const started = clock.now();
    const backup = await takeBaseBackup({
      ...from,
      onProgress: (done, total) => progress.push([done, total]),
    });
    const tookMs = clock.now() - started;
    const label = await readFile(join(from.dir, "backup_label"), "utf8");
    expect(label).toContain("\nLABEL: it's for label\n");
    expect(label).toContain(`START WAL LOCATION: ${lsnText(backup.startLsn)} (file`);
    expect(backup.startLsn >= before).toBe(true);
    expect(backup.timeline).toBe(1);
    const { systemIdentifier } = await identifySystem(from);
    expect(backup.systemIdentifier).toBe(systemIdentifier);
    expect(progress.length).toBeLessThanOrEqual(2 + tookMs / 100);
    expect(progress.at(-1)?.[0]).toBe(backup.bytes);
    for (const [done, total = 0n] of progress) expect(done <= total).toBe(true);
  });

  test("files have the modes and the owner that PostgreSQL wants", async () => {
    const { dir } = options("label");
    for (const entry of await readdir(dir, { recursive: true })) {
      const found = await lstat(join(dir, entry));
      const { uid, gid } = found;
      expect([entry, octal(found.mode)]).toEqual([entry, found.isDirectory() ? "700" : "600"]);
      if (lab.owner !== undefined) expect([uid, gid]).toEqual([lab.owner.uid, lab.owner.gid]);
    }
    expect(await modeOf(dir)).toBe("700");
  });

  test("a tablespace is a real directory in place, the source's own is not touched", async () => {
    const { dir } = options("label");
    const [oid = ""] = await readdir(join(dir, "pg_tblspc"));
    expect((await lstat(join(dir, "pg_tblspc", oid))).isDirectory()).toBe(true);
    expect(await readdir(dir)).not.toContain("tablespace_map");
    expect((await lstat(join(primary.dir, "pg_tblspc", oid))).isSymbolicLink()).toBe(true);
  });

  test("it holds the WAL it needs: it starts alone, under the setting it wants", async () => {
    const { dir } = options("label");
    await expect(lab.start(dir)).rejects.toThrow(/allow_in_place_tablespaces/);
    expect(await logOf({ dir })).toContain("PANIC:  unexpected directory entry");
    const alone = await lab.start(dir, IN_PLACE);
    expect(await alone.value("select count(*) from ledger_away")).toBe("10000");
    await alone.process.stop("fast", 20_000);
  });

  test("a backup of a promoted backup has everything, tablespaces in place included", async () => {
    await takeBaseBackup(options("first"));
    const first = await lab.standby(lab.path("first"), primary, IN_PLACE);
    await first.sql("select pg_promote()");
    await first.sql("insert into ledger_away select g, 'new' from generate_series(1, 500) g");
    // Unlogged tables are empty after a crash or a copy, never half full.
    expect(await first.value("select count(*) from scratch")).toBe("0");
    const second = options("second", first);
    const { timeline } = await takeBaseBackup(second);
    expect(timeline).toBe(2);
    const standby = await lab.standby(second.dir, first, IN_PLACE);
    await caughtUp(standby, first);
    expect(await contents(standby)).toEqual(await contents(first));
    expect(await standby.value("select count(*) from ledger_away")).toBe("10500");
    expect(await fetchTimelineHistory(second, 2)).toMatch(/^1\t[0-9A-F]+\/[0-9A-F]+\tno recovery/);
    const third = await takeBaseBackup(options("third", standby));
    expect(third.timeline).toBe(2);
    await first.process.stop("immediate", 20_000);
    await standby.process.stop("immediate", 20_000);
  });

  test("no slot is left behind", async () => {
    expect(await primary.value("select count(*) from pg_replication_slots")).toBe("0");
  });

  test("a source without slots, open to its group, into an empty directory", async () => {
    await primary.process.stop("fast", 20_000);
    await mustRun("chmod", ["-R", "g+rX", primary.dir]);
    const source = await lab.start(primary.dir, { max_replication_slots: 0 });
    const from = options("group", source);
    await mkdir(from.dir, { mode: 0o755 });
    await expect(takeBaseBackup(from)).resolves.toMatchObject({ timeline: 1 });
    expect(await modeOf(from.dir)).toBe("700");
    expect(await modeOf(join(from.dir, "PG_VERSION"))).toBe("640");
    expect(await modeOf(join(from.dir, "base"))).toBe("750");
  });
});

const octal = (mode: number) => (mode & 0o777).toString(8);
const modeOf = async (path: string) => octal((await stat(path)).mode);
const lsnText = (lsn: bigint) =>
  `${(lsn >> 32n).toString(16)}/${(lsn & 0xffffffffn).toString(16)}`.toUpperCase();

/** Every table by content; unlogged ones cannot be read on a standby. */
function contents(server: LabServer) {
  const hash = (table: string) =>
    `select count(*), md5(string_agg(t::text, ',' order by id, text)) from ${table} t`;
  return server.sql(`${hash("ledger")} union all ${hash("ledger_away")}`);
}

/** Insert and update, each its own rows, until told to stop; answers how many transactions. */
function startWriters(server: LabServer, count: number) {
  const stop = new AbortController();
  const write = async (writer: number) => {
    let done = 0;
    for (; !stop.signal.aborted; done++) {
      const id = 1_000_000 * (writer + 1) + done;
      await server.sql(`
        insert into ledger values (${id}, 'writer ${writer}');
        update ledger set text = text || '.' where id % 1000 = ${(2 * done + writer) % 1000};
        create table t_${writer}_${done} as select ${done} as id;`);
    }
    return done;
  };
  const writers = Array.from({ length: count }, (_, index) => write(index));
  return {
    stop: async () => {
      stop.abort();
      return (await Promise.all(writers)).reduce((sum, done) => sum + done, 0);
    },
  };
}
