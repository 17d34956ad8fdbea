import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { waitUntil } from "../../src/clock/clock.ts";
import { fetchTimelineHistory, identifySystem } from "../../src/replication/commands.ts";
import { type Connection, connect } from "../../src/replication/connection.ts";
import { ConnectionLost, ServerError, type ServerMessage } from "../../src/replication/errors.ts";
import { clock, flavours, type Lab, type LabServer, openLab, rowsOf } from "./lab.ts";

describe.each(await flavours())("$name", ({ binDir }) => {
  let lab: Lab;
  let server: LabServer;
  let session: Connection;
  const notices: ServerMessage[] = [];
  const target = () => ({ host: server.host, port: server.port, user: "postgres", clock });
  beforeAll(async () => {
    lab = await openLab(binDir);
    server = await lab.primary("primary");
  });
  afterAll(() => lab.close());
  beforeEach(async () => {
    notices.length = 0;
    session = await connect({ ...target(), onNotice: (notice) => notices.push(notice) });
  });
  afterEach(() => session.close());

  test("several statements give several results, nulls and empty texts apart", async () => {
    const results = await session.query(
      "select 1 a, null b, '' c; create temp table t (x int); select generate_series(1, 3) g",
    );
    expect(results).toEqual([
      { fields: ["a", "b", "c"], rows: [["1", null, ""]], tag: "SELECT 1" },
      { fields: [], rows: [], tag: "CREATE TABLE" },
      { fields: ["g"], rows: [["1"], ["2"], ["3"]], tag: "SELECT 3" },
    ]);
    expect(await session.query("")).toEqual([]);
  });

  test("the server's error arrives with SQLSTATE, detail, hint and place", async () => {
    const refused = session.query(
      "do $$ begin raise exception 'no' using errcode = 'RF001', detail = 'd', hint = 'h'; end $$",
    );
    await expect(refused).rejects.toThrow(ServerError);
    await expect(refused).rejects.toMatchObject({
      severity: "ERROR",
      code: "RF001",
      message: "no",
      detail: "d",
      hint: "h",
      where: expect.stringContaining("PL/pgSQL function"),
      endsSession: false,
    });
  });

  test("after an error the session goes on", async () => {
    await expect(session.query("select 1/0; select 2")).rejects.toMatchObject({ code: "22012" });
    expect(await rowsOf(session, "select 2")).toEqual([["2"]]);
  });

  test("notices and parameters do not get in the way of answers", async () => {
    const [row] = await rowsOf(
      session,
      "do $$ begin raise warning 'careful'; end $$; set timezone = 'Asia/Tokyo'; select 5",
    );
    expect(row).toEqual(["5"]);
    expect(notices).toMatchObject([{ severity: "WARNING", message: "careful" }]);
    expect(session.parameters.get("TimeZone")).toBe("Asia/Tokyo");
    expect(session.majorVersion).toBe(lab.binaries.major);
  });

  test("two exchanges at once are refused, naming the one under way", async () => {
    const first = session.query("select pg_sleep(0.1)");
    await expect(session.query("select 2")).rejects.toThrow(/is busy with: select pg_sleep/);
    await first;
  });

  test("a silent server is given up, and the session with it", async () => {
    const late = session.query("select pg_sleep(30)", { silenceLimitMs: 100 });
    await expect(late).rejects.toMatchObject({ name: "ConnectionLost", kind: "silent" });
    await expect(session.receive(100)).rejects.toThrow("the server said nothing for 100 ms");
  });

  test("a session that is ended from outside says so in the server's words", async () => {
    const ended = expect(session.query("select pg_sleep(30)")).rejects;
    await Promise.all([
      ended.toMatchObject({ code: "57P01", severity: "FATAL" }),
      server.sql(`select pg_terminate_backend(${session.backendPid})`),
    ]);
    await expect(session.query("select 1")).rejects.toThrow();
  });

  test("an abort cuts the session at any moment", async () => {
    const stop = new AbortController();
    const cut = await connect({ ...target(), signal: stop.signal });
    const waiting = cut.query("select pg_sleep(30)");
    stop.abort(new Error("shutting down"));
    await expect(waiting).rejects.toThrow("shutting down");
  });

  test("a copy that nobody reads stops the server, not our memory", async () => {
    const rows = 60_000;
    const text = `copy (select repeat('x', 500) from generate_series(1, ${rows})) to stdout`;
    const copy = await session.copyOut(text);
    const event = `select wait_event from pg_stat_activity where pid = ${session.backendPid}`;
    const wait = { clock, everyMs: 10, limitMs: 10_000 };
    await waitUntil("the server waits for us", wait, async () => {
      return (await server.value(event)) === "ClientWrite";
    });
    let bytes = 0;
    let pieces = 0;
    for (let piece = await copy.next(); piece !== undefined; piece = await copy.next()) {
      bytes += piece.length;
      pieces += 1;
    }
    expect({ bytes, pieces }).toEqual({ bytes: rows * 501, pieces: rows });
    expect(copy.results).toMatchObject([{ tag: `COPY ${rows}` }]);
    expect(await rowsOf(session, "select 1")).toEqual([["1"]]);
  });

  test("an error in the middle of a copy ends the copy, not the session", async () => {
    const copy = await session.copyOut(
      "copy (select 1 / (5 - g) from generate_series(1, 9) g) to stdout",
    );
    const drain = async () => {
      while ((await copy.next()) !== undefined);
    };
    await expect(drain()).rejects.toMatchObject({ code: "22012" });
    expect(await rowsOf(session, "select 1")).toEqual([["1"]]);
  });

  test("a closed session takes no more questions", async () => {
    const closed = await connect(target());
    await closed.close();
    await closed.close();
    await expect(closed.query("select 1")).rejects.toThrow(ConnectionLost);
  });

  test("identifySystem says who the server is, on which timeline, how far", async () => {
    const { systemIdentifier, timeline, xlogpos } = await identifySystem(target());
    const control = "select system_identifier from pg_control_system()";
    expect(systemIdentifier).toBe(await server.value(control));
    expect(timeline).toBe(1);
    expect(xlogpos > 0n).toBe(true);
  });

  test("timeline 1 has no history file, and the server says so", async () => {
    await expect(fetchTimelineHistory(target(), 1)).rejects.toMatchObject({ code: "58P01" });
  });
});
