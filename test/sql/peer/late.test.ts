/** A store on a slow disk, or behind a network that loses packets, answers late: it is not silent, nor hung up on. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { monotonicClock } from "../../../src/clock/clock.ts";
import { nodePassword } from "../../../src/config/secrets.ts";
import { silentLog } from "../../../src/log/logger.ts";
import { Link, NO_ANSWER } from "../../../src/raft/links.ts";
import { until } from "../../support/until.ts";
import { openSecond, type Second } from "./second.ts";

let peers: Second;
const end = new AbortController();
let link: Link;

beforeAll(async () => {
  peers = await openSecond();
  const { config } = peers.node;
  const { host, port } = config.control;
  const login = { user: "pgreplica_node_2", password: nodePassword(config, 2) };
  link = new Link(
    { id: 1, host, port, ...login },
    {
      me: peers.me,
      clock: monotonicClock,
      log: silentLog,
      signal: end.signal,
      onLost: () => undefined,
      onHello: () => undefined,
      onIntroduced: () => undefined,
    },
  );
  await until("it is reached", { limitMs: 5000 }, () => link.reach().reach === "ok");
}, 60_000);
afterAll(async () => {
  end.abort();
  await peers.close();
});

const ask = (limitMs: number, sleepS: number) =>
  link.call("work", limitMs, async (client) => {
    const text = `select pg_backend_pid() as pid from (select pg_sleep(${sleepS})) as slept`;
    return (await client.query(text)).rows[0].pid as number;
  });

test("an answer after the caller's limit is a sign of life (D16)", async () => {
  expect(await ask(100, 0.4)).toBe(NO_ANSWER);
  expect(link.reach().reach).toBe("silent");
  await until("it is heard", { limitMs: 3000 }, () => link.reach().reach === "ok");
});

test("one that answers each question late keeps its connection", async () => {
  const first = await ask(3000, 0);
  for (let i = 0; i < 5; i += 1) {
    expect(await ask(100, 0.35)).toBe(NO_ANSWER);
    await until("it is heard", { limitMs: 3000 }, () => link.reach().reach === "ok");
  }
  expect(await ask(3000, 0)).toBe(first);
});

test("one that answers nothing for a second is hung up on", async () => {
  const first = await ask(3000, 0);
  expect(await ask(100, 5)).toBe(NO_ANSWER);
  await monotonicClock.sleep(1000);
  expect(await ask(100, 0)).toBe(NO_ANSWER);
  const next = await until("it is reached anew", { limitMs: 5000 }, async () => {
    const pid = await ask(1000, 0);
    return pid !== NO_ANSWER && pid;
  });
  expect(next).not.toBe(first);
});
