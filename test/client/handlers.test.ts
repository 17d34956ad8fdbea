/** Those who are told of things: what they throw is their own concern, and nothing of them stays behind. */
import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import type { Heard } from "../../src/client/index.ts";
import { logOf } from "../replication/lab.ts";
import { until } from "../support/until.ts";
import { useOneServer } from "./servers.ts";

const { open, onPrimary, servers } = useOneServer();

describe("handlers that throw", () => {
  const broken = () => {
    throw new Error("a handler's own trouble");
  };

  test("onPrimary: the others are told, and the nodes are asked on", async () => {
    const pool = open({ acquireTimeoutMs: 2000 });
    const told: string[] = [];
    pool.onPrimary(broken);
    pool.onPrimary(({ node }) => told.push(node));
    expect(await pool.query("select 1 as v")).toEqual([{ v: 1 }]);
    expect(told).toEqual([servers().name(0)]);
  });

  test("listen: it is told of a gap and of what comes then all the same", async () => {
    const pool = open();
    const heard: string[] = [];
    const stop = new AbortController();
    const handler = ({ kind }: Heard) => {
      heard.push(kind);
      broken();
    };
    await pool.listen("trouble", handler, { signal: stop.signal });
    await onPrimary(
      "select pg_terminate_backend(pid) from pg_stat_activity where query like 'listen \"trouble%'",
    );
    await until("a gap is told", { limitMs: 5000 }, () => heard.length === 1);
    await pool.query("select pg_notify('trouble', 'one')");
    await until("it is heard", { limitMs: 5000 }, () => heard.length === 2);
    expect(heard).toEqual(["gap", "message"]);
    stop.abort();
  });
});

test("a control store that cannot be read leaves no listener behind at each attempt", async () => {
  const [server] = servers().all;
  if (server === undefined) throw new Error("no server");
  const signals = new Set<EventTarget>();
  const { addEventListener } = EventTarget.prototype;
  EventTarget.prototype.addEventListener = function (this: EventTarget, ...given) {
    if (this instanceof AbortSignal) signals.add(this);
    addEventListener.apply(this, given);
  };
  try {
    // A store in name only: it listens, and has nothing to read.
    const pool = open({ control: [`postgresql://postgres@${servers().name(0)}/postgres`] });
    await pool.ready();
    await until("it was asked often", { limitMs: 20_000 }, async () => {
      const refused = (await logOf(server)).match(/schema "pg_replica" does not exist/g);
      return (refused?.length ?? 0) >= 8;
    });
    const most = Math.max(...[...signals].map((one) => getEventListeners(one, "abort").length));
    expect(most).toBeLessThan(5);
  } finally {
    EventTarget.prototype.addEventListener = addEventListener;
  }
}, 30_000);
