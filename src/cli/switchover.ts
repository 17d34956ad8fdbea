/** `pg-replica switchover`: move the primary as planned. A skin over `pg_replica.switchover`. */
import { switchover } from "../db/pg-replica.ts";
import { CONFIG_HELP, type Command, parseCommand, wholeNumber } from "./command.ts";
import { DEFAULT_WAIT_MS, MAX_WAIT_MS, report, statementLimit } from "./request.ts";
import { withStore } from "./store.ts";

const HELP = `pg-replica switchover [TARGET] [--at TIME] [--wait-ms N] [--config FILE | --uri URI] [--json]

Makes another node the primary without losing an acknowledged commit, or leaves the old one as it is.
TARGET is a node's name or id; without it the best one is chosen.

${CONFIG_HELP}
  --uri URI       ask this server instead
  --at TIME       not before this time (as PostgreSQL reads it: 2030-01-31 03:00+01)
  --wait-ms N     how long to wait for the result (default: ${DEFAULT_WAIT_MS})
  --json          for machines
`;

export const command: Command = {
  help: HELP,
  async run(args) {
    const { values, positionals } = parseCommand(
      args,
      {
        config: { type: "string" },
        uri: { type: "string" },
        at: { type: "string" },
        "wait-ms": { type: "string", default: `${DEFAULT_WAIT_MS}` },
        json: { type: "boolean", default: false },
      },
      1,
    );
    const waitMs = wholeNumber("--wait-ms", values["wait-ms"], { from: 0, to: MAX_WAIT_MS });
    const [target] = positionals;
    const ask = { target, at: values.at, waitMs };
    const row = await withStore(values, statementLimit(waitMs), (store) => switchover(store, ask));
    return report(row, { asJson: values.json });
  },
};
