/** Command lines of the programs beside the product: `--help` says what there is, a mistake says what was expected. */
import { relative } from "node:path";
import { type ParseArgsConfig, type ParseArgsOptionsConfig, parseArgs } from "node:util";

/** As `parseArgs`; a mistake is told in one line and ends the program with 2, `--help` with 0. */
export function readOptions<const T extends ParseArgsConfig>(
  config: T,
): ReturnType<typeof parseArgs<T>> {
  if (process.argv.slice(2).includes("--help")) {
    console.log(usage(config));
    process.exit(0);
  }
  try {
    return parseArgs(config);
  } catch (error) {
    if (!(error instanceof TypeError && "code" in error)) throw error;
    console.error(`error: ${error.message}\n${usage(config)}`);
    process.exit(2);
  }
}

function usage({ options = {}, allowPositionals = false }: ParseArgsConfig): string {
  const program = relative(process.cwd(), process.argv[1] ?? "");
  const words = Object.entries(options).map(word);
  return ["usage: node", program, ...words, ...(allowPositionals ? ["[NAME…]"] : [])].join(" ");
}

function word([name, option]: [string, ParseArgsOptionsConfig[string]]): string {
  if (option.type === "boolean") return `[--${name}]`;
  const standard = option.default === undefined || option.multiple ? "" : `=${option.default}`;
  return `[--${name} ${name.toUpperCase()}${standard}]${option.multiple ? "…" : ""}`;
}
