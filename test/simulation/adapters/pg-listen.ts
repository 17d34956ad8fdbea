/** `pg-listen` over simulated connections: notifications of the own control store. */
import { EventEmitter } from "node:events";
import { world } from "../world.ts";
import { Client } from "./pg.ts";

export default function createSubscriber(config: ConstructorParameters<typeof Client>[0]) {
  const events = new EventEmitter();
  const client = new Client(config);
  let closed = false;
  client.on("error", (error) => {
    if (!closed) events.emit("error", error);
  });
  return {
    events,
    connect: () => client.connect(),
    listenTo: async (channel: string) => {
      await client.query({ text: `listen ${channel}` });
      world()
        .hosts.get(nodeOf(client))
        ?.store?.addListener(client, (payload) => {
          if (!closed) events.emit("notification", { channel, payload });
        });
    },
    close: async () => {
      closed = true;
      await client.end();
    },
  };
}

function nodeOf(client: Client): number {
  return client.node;
}
