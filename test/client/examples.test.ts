/** The examples run as they stand, against servers that fail over beneath them. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { PROJECT } from "../support/programs.ts";
import { open } from "../support/sql.ts";
import { until } from "../support/until.ts";
import { openServers, type Servers } from "./servers.ts";

let servers: Servers;
let child: ChildProcess | undefined;
let output = "";

beforeEach(async () => {
  servers = await openServers(1);
});
afterEach(async () => {
  child?.kill("SIGKILL");
  await servers.close();
});

function start(example: string): ChildProcess {
  output = "";
  const hosts = servers.all.map(({ host, port }) => `${host}:${port}`).join(",");
  const env = {
    ...process.env,
    PORT: "0",
    DATABASE_URL: `postgresql://postgres@${hosts}/postgres`,
  };
  const own = [
    "--import",
    join(import.meta.dirname, "own-name.mjs"),
    join(PROJECT, "examples", example),
  ];
  child = spawn(process.execPath, own, { env, stdio: ["ignore", "pipe", "pipe"] });
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  return child;
}

const said = (text: string | RegExp, limitMs = 15_000) =>
  until(`it says ${text}`, { limitMs }, () => {
    if (child?.exitCode !== null) throw new Error(`it ended: ${output}`);
    return typeof text === "string" ? output.includes(text) : text.test(output);
  });

async function endsBySigterm(): Promise<void> {
  const ended = new Promise<number | null>((resolve) => child?.once("exit", resolve));
  child?.kill("SIGTERM");
  expect(await ended).toBe(0);
}

async function failOver(): Promise<void> {
  await servers.caughtUp();
  await servers.kill(0);
  await servers.promote(1);
}

test("the web service writes through a failover; the same key twice writes once", async () => {
  start("web-service.ts");
  await said(/listening on \d+/);
  const url = `http://127.0.0.1:${/listening on (\d+)/.exec(output)?.[1]}/notes`;
  const post = (text: string, key = randomUUID()) =>
    fetch(url, { method: "POST", body: text, headers: { "idempotency-key": key } });
  const key = randomUUID();
  expect((await post("one", key)).status).toBe(201);
  expect((await post("one", key)).status).toBe(200);
  expect((await fetch(url, { method: "POST", body: "x" })).status).toBe(400);
  await failOver();
  const second = await until("it writes again", { limitMs: 15_000 }, async () => {
    const answer = await post("two", "00000000-0000-4000-8000-000000000002");
    return answer.status < 300 && answer;
  });
  expect([200, 201]).toContain(second.status);
  const notes = (await (await fetch(url)).json()) as { text: string }[];
  expect(notes.map(({ text }) => text)).toEqual(["one", "two"]);
  await endsBySigterm();
});

test("the subscriber hears of what came while the primary moved", async () => {
  start("listen.ts");
  await said("listening");
  await servers.all[0]?.sql("insert into jobs (what) values ('before'); notify jobs");
  await said("1 before (told)");
  const slow = await open(`postgresql://postgres@${servers.name(0)}/postgres`);
  await slow.query("begin");
  await slow.query("insert into jobs (what) values ('slow')");
  await servers.all[0]?.sql("insert into jobs (what) values ('quick'); notify jobs");
  await said("3 quick (told)");
  await slow.query("commit");
  await slow.query("notify jobs");
  await said("2 slow (told)");
  await slow.end();
  await failOver();
  await servers.all[1]?.sql("insert into jobs (what) values ('meanwhile')");
  await servers.all[1]?.sql("notify jobs");
  await said(/\d+ meanwhile \((told|after a gap|at first)\)/);
  expect(output).toContain(`primary is ${servers.name(1)}`);
  await endsBySigterm();
});
