/** `src/worker/control-store.ts`: the control store's process, started or found running. */
import type { Config } from "../../../src/config/schema.ts";
import { currentProc } from "../engine.ts";
import { world } from "../world.ts";

export class ControlStoreLost extends Error {
  override readonly name = "ControlStoreLost";
}

export function ownControlStore(config: Pick<Config, "dir" | "control">, applicationName: string) {
  return {
    host: `${config.dir}/run/control`,
    port: config.control.port,
    user: "postgres",
    applicationName,
    connectLimitMs: 5000,
  };
}

export async function startControlStore(config: Config) {
  const { engine, hosts } = world();
  const host = hosts.get(config.node.id);
  const worker = currentProc();
  if (host === undefined || worker === undefined) throw new Error("no such node");
  if (host.store === undefined || host.store.proc.dead) {
    await engine.sleep(engine.random("timers").between(40, 250), "control.start");
    host.startStore();
  } else await engine.sleep(5, "control.adopted");
  const { store } = host;
  if (store === undefined) throw new ControlStoreLost("no control store");
  const exited = new Promise<void>((resolve) => {
    store.proc.onDeath.push(() => engine.after(2, "control.exit", resolve, worker));
  });
  return {
    identity: {
      clusterId: config.clusterId,
      cluster: config.cluster,
      nodeId: config.node.id,
      name: config.node.name,
      incarnation: store.incarnation,
    },
    server: { exited, alive: () => !store.proc.dead },
  };
}

export async function stopControlStore(): Promise<void> {}
export async function createControlStore(): Promise<void> {}
