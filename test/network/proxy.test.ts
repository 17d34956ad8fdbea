/** The proxy that stands in for links: who calls is known, each link is cut alone, delays keep the order. */
import { connect, createServer, type Server } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openProxy, type ProxyNetwork } from "../support/bed/proxy.ts";
import { freeDemoPorts } from "../support/ports.ts";

let proxy: ProxyNetwork;
let echo: Server;
let port = 0;

beforeAll(async () => {
  port = await freeDemoPorts(2);
  proxy = await openProxy(2, { data: port, control: port + 50 }, 1);
  echo = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => echo.listen(port, proxy.listen(1), resolve));
});

afterAll(async () => {
  await proxy.close();
  echo.close();
});

/** A start-up packet of protocol 3.0. */
function startup(user: string): Buffer {
  const packet = Buffer.from(`--------user\0${user}\0\0`);
  packet.writeUInt32BE(packet.length, 0);
  packet.writeUInt32BE(196608, 4);
  return packet;
}

/** Log in as somebody, then say some words: what came back after the packet, or why nothing did. */
function call(user: string, words: readonly string[] = [], node = 1): Promise<string> {
  return new Promise((resolve) => {
    const packet = startup(user);
    const wanted = packet.length + words.join("").length;
    let got = Buffer.alloc(0);
    const socket = connect({ host: proxy.address(node), port });
    const finish = (answer: string) => {
      socket.destroy();
      clearTimeout(timer);
      resolve(answer);
    };
    const timer = setTimeout(() => finish("silence"), 400);
    socket.on("error", (error: NodeJS.ErrnoException) => finish(error.code ?? "error"));
    socket.on("data", (data) => {
      got = Buffer.concat([got, data]);
      if (got.length >= wanted) finish(got.subarray(packet.length).toString());
    });
    socket.write(packet);
    for (const word of words) socket.write(word);
  });
}

test("everything is passed on", async () => {
  expect(await call("postgres", ["hello"])).toBe("hello");
  expect(await call("pgreplica_node_2", ["hello"])).toBe("hello");
});

test("one member's link is cut, others' are not; lifted, it is whole again", async () => {
  const cut = await proxy.cut([{ from: 2, to: 1, how: "drop" }]);
  expect(await call("pgreplica_node_2", ["hello"])).toBe("silence");
  expect(await call("postgres", ["hello"])).toBe("hello");
  expect(await cut.hits()).toBeGreaterThan(0);
  await cut.lift();
  expect(await call("pgreplica_node_2", ["hello"])).toBe("hello");
});

test("the way back is cut alone", async () => {
  const cut = await proxy.cut([{ from: 1, to: 2, how: "drop" }]);
  expect(await call("pgreplica_node_2", ["hello"])).toBe("silence");
  await cut.lift();
});

test("a reset is heard of", async () => {
  const cut = await proxy.cut([{ from: "clients", to: 1, port: "data", how: "reset" }]);
  expect(await call("postgres", ["hello"])).toBe("ECONNRESET");
  expect(await cut.hits()).toBeGreaterThan(0);
  await cut.lift();
});

test("a server that is not there resets its callers", async () => {
  expect(await call("postgres", ["hello"], 2)).toBe("ECONNRESET");
});

test("delay and jitter keep the order", async () => {
  const shape = proxy.shape([{ from: "clients", to: 1, delayMs: 5, jitterMs: 30 }]);
  const words = Array.from({ length: 20 }, (_, index) => `${index} `);
  expect(await call("postgres", words)).toBe(words.join(""));
  expect(await shape.hits()).toBeGreaterThan(0);
  await shape.lift();
});

test("packets are not the proxy's to lose", async () => {
  await expect(proxy.cut([{ from: 1, to: 2, how: { loss: 5 } }])).rejects.toThrow(/no packets/);
});
