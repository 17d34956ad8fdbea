/**
 * What goes between nodes, listened to by who stands between them: in TLS none of it can be read, though all of it can
 * without. And whoever comes from outside with a frame of any length gets no memory for it.
 */
import { connect as dial } from "node:net";
import { afterAll, describe, expect, test, vi } from "vitest";
import type { ByHand } from "../support/by-hand.ts";
import { createAuthority } from "../support/certificates.ts";
import { processesBelow } from "../support/cluster.ts";
import { untilHealthy } from "../support/health.ts";
import { useMembers } from "../support/members.ts";
import { openRelay, type Relay } from "../support/relay.ts";
import { rows, value } from "../support/sql.ts";
import { until } from "../support/until.ts";

vi.setConfig({ testTimeout: 90_000 });

const IDS = [1, 2, 3] as const;
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f]);

/** What users put in, and what a protocol of PostgreSQL says when it is in plain text. */
const MARKS = [
  "mark of an entry",
  "mark of a request",
  "mark.of.a.key",
  "mark of a value",
  "mark of a row",
];
const WORDS = ["append_entries", "pgreplica_node_", "SCRAM-SHA-256", "START_REPLICATION"];

/** Every byte between the nodes, by connection and direction. */
class Wire {
  readonly #connections: { readonly caller: Buffer[]; readonly server: Buffer[] }[] = [];
  readonly #relays: Relay[] = [];

  /** Each node is found here by the others; its servers listen elsewhere. */
  async open(all: ByHand): Promise<void> {
    for (const id of IDS) {
      for (const { port } of [all.node(id).control, all.node(id).data]) {
        const to = { host: "127.0.0.1", port };
        this.#relays.push(
          await openRelay(
            to,
            (client, server) => {
              const heard = { caller: [] as Buffer[], server: [] as Buffer[] };
              this.#connections.push(heard);
              return {
                fromClient: (chunk) => void (heard.caller.push(chunk) && server.write(chunk)),
                fromServer: (chunk) => void (heard.server.push(chunk) && client.write(chunk)),
              };
            },
            { host: hostOf(id), port },
          ),
        );
      }
    }
  }

  calls(): Buffer[] {
    return this.#connections
      .map(({ caller }) => Buffer.concat(caller))
      .filter(({ length }) => length > 0);
  }

  all(): Buffer {
    return Buffer.concat(this.#connections.flatMap(({ caller, server }) => [...caller, ...server]));
  }

  async close(): Promise<void> {
    for (const relay of this.#relays) await relay.close();
  }
}

const hostOf = (id: number) => `127.0.42.${id}`;

describe.each(["in TLS", "in plain text"] as const)("%s", (how) => {
  const wire = new Wire();
  const authority = how === "in TLS" ? createAuthority("ours") : undefined;
  const members = useMembers(3, {
    hostOf,
    prepared: (all) => wire.open(all),
    ...(authority === undefined ? {} : { authority }),
  });
  afterAll(() => wire.close());

  test("what is put in, and how it is spoken of", async () => {
    const { primary, leader } = await untilHealthy(members.present(...IDS));
    const [data, control] = [members.node(primary).data.uri, members.control(leader)];
    const [entry, request, key, text, row] = MARKS;
    await value(control, "select pgraft_replicate_entry($1, $2)", [entry, request]);
    await value(control, "select pgraft_kv_put($1, $2)", [key, text]);
    await rows(data, "create table marked (mark text)");
    await value(data, "insert into marked values ($1) returning mark", [row]);
    for (const id of IDS) {
      await until("all of it is everywhere", { limitMs: 10_000 }, async () => {
        const seen = await value(members.node(id).data.uri, "select mark from marked");
        return (
          seen === row &&
          (await value(members.control(id), "select pgraft_kv_get($1)", [key])) === text
        );
      });
    }
    const heard = wire.all();
    expect(heard.length).toBeGreaterThan(100_000);
    const read = [...MARKS, ...WORDS].filter((word) => heard.includes(word));
    if (authority === undefined) expect(read).toEqual([...MARKS, ...WORDS]);
    else {
      expect(read).toEqual([]);
      // Each connection asks for TLS before it says anything else, and then shakes hands (record type 22).
      for (const call of wire.calls()) {
        expect(call.subarray(0, 8)).toEqual(SSL_REQUEST);
        expect(call.length === 8 || call[8] === 22).toBe(true);
      }
    }
  });

  /** Bytes to a control store, and then more of them, until it hangs up; how many the kernel took for it. */
  async function flood(first: Buffer): Promise<number> {
    const { port } = members.node(1).control;
    const more = Buffer.alloc(65_536, 0x70);
    return await new Promise((resolve) => {
      const socket = dial({ host: "127.0.0.1", port }, () => {
        socket.write(first);
        pour();
      });
      const pour = () => {
        while (!socket.destroyed && socket.write(more));
      };
      // It hangs up in the middle of what is written.
      socket.on("error", () => undefined).on("data", () => undefined);
      socket.on("drain", pour).on("close", () => resolve(socket.bytesWritten));
    });
  }

  test("a frame that says it is of gigabytes is refused before it is taken", async () => {
    const size = (bytes: number) => {
      const packet = Buffer.alloc(8);
      packet.writeUInt32BE(bytes, 0);
      packet.writeUInt32BE(196_608, 4);
      return packet;
    };
    const parameters = Buffer.from("user\0pgreplica_node_2\0database\0postgres\0\0");
    const startup = Buffer.concat([size(8 + parameters.length), parameters]);
    const password = Buffer.from([0x70, 0x7f, 0xff, 0xff, 0xff]);
    for (const frame of [size(0xffff_ffff), size(1_000_000), Buffer.concat([startup, password])]) {
      // What the kernel holds for a socket, and no more.
      expect(await flood(frame)).toBeLessThan(16 * 1024 * 1024);
    }
    expect(await value(members.control(1), "select pgraft_get_worker_state()")).toBe("running");
    expect(processesBelow(members.all.top).length).toBeGreaterThan(10);
  });
});
