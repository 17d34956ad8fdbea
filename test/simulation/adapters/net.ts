/** `node:net`: whether a port of this host refuses, which is all the fence asks of it. */
import { EventEmitter } from "node:events";
import { currentProc } from "../engine.ts";
import { world } from "../world.ts";

export function connect({ host, port }: { readonly host: string; readonly port: number }) {
  const { network, engine } = world();
  const proc = currentProc();
  const socket = Object.assign(new EventEmitter(), { destroy: () => undefined });
  const service = network.service(`${host}:${port}`);
  engine.after(
    0.1,
    "net.connect",
    () => {
      if (service === undefined || service.proc.dead) {
        socket.emit("error", Object.assign(new Error("refused"), { code: "ECONNREFUSED" }));
      } else socket.emit("connect");
    },
    proc,
  );
  return socket;
}

export class Socket {}
