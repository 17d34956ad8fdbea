/** `pg-replica failover`: replace the primary now. A skin over `pg_replica.failover`. */
import { failover } from "../db/pg-replica.ts";
import { CONFIG_HELP, type Command, parseCommand, wholeNumber } from "./command.ts";
import { DEFAULT_WAIT_MS, MAX_WAIT_MS, report, statementLimit } from "./request.ts";
import { withStore } from "./store.ts";

const HELP = `pg-replica failover [TARGET] [--allow-data-loss] [--wait-ms N] [--config FILE | --uri URI] [--json]

Makes another node the primary now. TARGET is a node's name or id; without it the best one is chosen.
With a healthy primary this is a switchover.

${CONFIG_HELP}
  --uri URI           ask this server instead
  --allow-data-loss   go on even when acknowledged commits may be lost
  --wait-ms N         how long to wait for the result (default: ${DEFAULT_WAIT_MS})
  --json              for machines
`;

export const command: Command = {
  help: HELP,
  async run(args) {
    const { values, positionals } = parseCommand(
      args,
      {
        config: { type: "string" },
        uri: { type: "string" },
        "allow-data-loss": { type: "boolean", default: false },
        "wait-ms": { type: "string", default: `${DEFAULT_WAIT_MS}` },
        json: { type: "boolean", default: false },
      },
      1,
    );
    const waitMs = wholeNumber("--wait-ms", values["wait-ms"], { from: 0, to: MAX_WAIT_MS });
    const [target] = positionals;
    const ask = { target, allowDataLoss: values["allow-data-loss"], waitMs };
    const row = await withStore(values, statementLimit(waitMs), (store) => failover(store, ask));
    return report(row, { asJson: values.json });
  },
};
