/** One server's connections, whoever asks for them at the moment they are given up. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { Node } from "../../src/client/node.ts";
import { settingsOf } from "../../src/client/options.ts";
import { monotonicClock } from "../../src/clock/clock.ts";
import { openServers, type Servers } from "./servers.ts";

let servers: Servers;
beforeAll(async () => {
  servers = await openServers(0);
}, 60_000);
afterAll(() => servers?.close());

test("who was promised an idle connection just before it is suspected has one all the same", async () => {
  const settings = settingsOf({ ...servers.options, poolSize: 1 });
  const [at] = settings.hosts;
  if (at === undefined) throw new Error("no host");
  const node = new Node(at, settings, monotonicClock);
  const patience = { acquireUntil: monotonicClock.now() + 5000, stop: undefined };
  try {
    (await node.lease(patience)).release();
    const promised = node.lease(patience);
    node.suspect();
    const lease = await promised;
    expect((await lease.link.query("select 1 as v")).rows).toEqual([{ v: 1 }]);
    lease.release();
    (await node.lease(patience)).release();
    expect(node.inUse).toBe(0);
  } finally {
    await node.end();
  }
}, 20_000);
