/** `pg-replica recover`: a majority is lost for good, and this node goes on alone. A skin over `pg_replica.recover`. */
import { recover } from "../db/pg-replica.ts";
import { CONFIG_HELP, type Command, parseCommand } from "./command.ts";
import { report, statementLimit } from "./request.ts";
import { withStore } from "./store.ts";

const HELP = `pg-replica recover --force --reason WHY [--config FILE | --uri URI] [--json]

The last resort, when a majority of the members is lost for good: this node goes on alone, in a new epoch.
Every other member is excluded, and refused until it is made anew. Commits that only they hold are lost. If one
of them still runs there are two clusters: make sure that none of them ever starts again.

${CONFIG_HELP}
  --uri URI      ask this server instead
  --force        yes, give up all other members
  --reason WHY   is recorded
  --json         for machines
`;

export const command: Command = {
  help: HELP,
  async run(args) {
    const { values } = parseCommand(args, {
      config: { type: "string" },
      uri: { type: "string" },
      force: { type: "boolean", default: false },
      reason: { type: "string" },
      json: { type: "boolean", default: false },
    });
    const { force, reason } = values;
    const row = await withStore(values, statementLimit(0), (store) =>
      recover(store, { force, reason }),
    );
    return report(row, { asJson: values.json });
  },
};
