import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { formatLsn } from "../../src/core/ids.ts";
import { ControlFileUnreadable, readControlFile } from "../../src/postgres/control-file.ts";
import { fence } from "../../src/postgres/fence.ts";
import { exists, makeDirectory } from "../../src/postgres/files.ts";
import { runProgram } from "../../src/postgres/run.ts";
import { putStandbySignal } from "../../src/postgres/settings.ts";
import { skip } from "../support/skip.ts";
import {
  cleanUp,
  clock,
  connectTo,
  embedded,
  installed,
  newPlace,
  startReady,
  workDir,
} from "./support.ts";

afterAll(cleanUp);

describe.each([
  { binaries: installed, name: `PostgreSQL ${installed.version}` },
  { binaries: embedded, name: `embedded PostgreSQL ${embedded.version}` },
])("$name", ({ binaries }) => {
  test("a running server's control file says what SQL says", async () => {
    const place = await newPlace(binaries);
    const server = await startReady(place);
    const client = await connectTo(place);
    await client.query("checkpoint");
    const { rows } = await client.query(`
      select s.system_identifier::text, s.pg_control_version, s.catalog_version_no,
             c.checkpoint_lsn::text, c.redo_lsn::text, c.timeline_id, c.prev_timeline_id,
             i.data_page_checksum_version, i.bytes_per_wal_segment
        from pg_control_system() s, pg_control_checkpoint() c, pg_control_init() i`);
    const [told] = rows;
    const read = await readControlFile(place.dataDir);
    expect({
      system_identifier: read.systemIdentifier,
      pg_control_version: read.controlVersion,
      catalog_version_no: read.catalogVersion,
      checkpoint_lsn: formatLsn(read.checkpointLsn),
      redo_lsn: formatLsn(read.redoLsn),
      timeline_id: read.timeline,
      prev_timeline_id: read.previousTimeline,
      data_page_checksum_version: Number(read.checksums),
      bytes_per_wal_segment: read.walSegmentBytes,
    }).toEqual(told);
    expect(read.state).toBe("in_production");
    await client.end();
    await server.stop("fast", 10_000);
    expect((await readControlFile(place.dataDir)).state).toBe("shut_down");
  });

  test("the way a server was left can be read from its control file", async () => {
    const place = await newPlace(binaries);
    const killed = await startReady(place);
    process.kill(killed.pid, "SIGKILL");
    await killed.exited;
    // Its backends may live on for a moment, and no server starts beside them.
    await fence({ ...place, clock, limitMs: 5000 });
    expect((await readControlFile(place.dataDir)).state).toBe("in_production");

    await putStandbySignal(place.dataDir, place.owner);
    const standby = await startReady(place);
    expect((await readControlFile(place.dataDir)).state).toBe("in_archive_recovery");
    await standby.stop("fast", 10_000);
    const left = await readControlFile(place.dataDir);
    expect(left.state).toBe("shut_down_in_recovery");
    expect(left.minRecoveryLsn).toBeGreaterThanOrEqual(left.checkpointLsn);
  });
});

const pgControldata = installed.program("pg_controldata");

test("pg_controldata reads the same", async (context) => {
  if (!(await exists(pgControldata))) return skip(context, `there is no ${pgControldata}`);
  const { dataDir } = await newPlace(installed);
  const { stdout } = await runProgram(pgControldata, [dataDir], { limitMs: 5000 });
  const read = await readControlFile(dataDir);
  expect(stdout).toMatch(new RegExp(`system identifier: +${read.systemIdentifier}\n`));
  expect(stdout).toMatch(new RegExp(`checkpoint location: +${formatLsn(read.checkpointLsn)}\n`));
  expect(stdout).toMatch(new RegExp(`TimeLineID: +${read.timeline}\n`));
  expect(stdout).toMatch(new RegExp(`Bytes per WAL segment: +${read.walSegmentBytes}\n`));
});

test("a damaged or foreign control file is refused, not guessed at", async () => {
  const { dataDir } = await newPlace(installed);
  const broken = join(workDir, "broken");
  const file = join(broken, "global", "pg_control");
  await makeDirectory(join(broken, "global"));
  await cp(join(dataDir, "global", "pg_control"), file);
  const bytes = await readFile(file);

  bytes[40] = (bytes[40] ?? 0) ^ 1;
  await writeFile(file, bytes);
  await expect(readControlFile(broken)).rejects.toThrow("the checksum does not match");

  bytes.writeUInt32LE(9900, 8);
  await writeFile(file, bytes);
  await expect(readControlFile(broken)).rejects.toThrow(ControlFileUnreadable);
});
