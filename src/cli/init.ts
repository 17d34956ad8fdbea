/** `pg-replica init`: create this node's control store, and with it its identity. */
import { join } from "node:path";
import { createControlStore } from "../worker/control-store.ts";
import { CONFIG_HELP, type Command, configOf, parseCommand, print } from "./command.ts";
import { claimPidFile } from "./pid-file.ts";
import { programsOf } from "./programs.ts";

const HELP = `pg-replica init --config FILE

Creates this node's control store. Refuses when anything of an earlier life is there, or
another init is at work; never deletes.

${CONFIG_HELP}
`;

export const command: Command = {
  help: HELP,
  async run(args) {
    const { values } = parseCommand(args, { config: { type: "string" } });
    const config = await configOf(values.config);
    const { binaries, owner } = await programsOf(config);
    const release = await claimPidFile(join(config.dir, "init.pid"), `init of ${config.node.name}`);
    try {
      await createControlStore(config, binaries, owner);
    } finally {
      await release();
    }
    const { node, control } = config;
    print(`node ${node.id} (${node.name}) of ${config.cluster}: control store in ${control.dir}`);
    return 0;
  },
};
