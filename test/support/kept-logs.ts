/** What a failed test leaves to be read: its servers' logs, and their last events beside the suite's summary. */
import { appendFile, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach } from "vitest";

/** So many of the newest events of all nodes, each so long. */
const EVENTS = 60;
const COLUMNS = 220;
/** What says nothing in a file of its own node. */
const PLAIN = new Set(["time", "level", "pid", "hostname", "cluster", "node", "event", "msg"]);

export interface KeptLogs {
  /** What is made so far is as it should be. */
  healthy(): void;
  fail(): void;
  /** What to do with the files, at the end; says where they are kept. */
  end(): Promise<"keep" | "remove">;
}

/** For a test file: logs, or folders of them, are kept from its first failure on, one in `beforeAll` included. */
export function useKeptLogs(paths: () => readonly string[]): KeptLogs {
  let failed = true;
  let told = false;
  const tell = async (what: string): Promise<void> => {
    failed = true;
    told = true;
    const file = process.env.PGR_TEST_FAILURES;
    if (file === undefined) return;
    await appendFile(file, `${what}\n  ${(await lastEvents(paths())).join("\n  ")}\n`);
  };
  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") await tell(`events before the end of "${task.name}":`);
  });
  return {
    healthy: () => {
      failed = false;
    },
    fail: () => {
      failed = true;
    },
    end: async () => {
      if (!failed) return "remove";
      if (!told) await tell("events:");
      console.error(`logs are kept:\n  ${paths().join("\n  ")}`);
      return "keep";
    },
  };
}

/** The newest events, oldest first, with the log that tells them. */
async function lastEvents(paths: readonly string[]): Promise<string[]> {
  const found: { readonly at: string; readonly line: string }[] = [];
  for (const file of (await Promise.all(paths.map(logsAt))).flat()) {
    const text = await readFile(file, "utf8");
    const from = file.split("/").slice(-3).join("/");
    for (const line of text
      .split("\n")
      .filter((one) => one.startsWith("{"))
      .slice(-EVENTS)) {
      const { at, said } = readEvent(line);
      found.push({ at, line: `${at} ${from} ${said}`.slice(0, COLUMNS) });
    }
  }
  return found
    .sort((a, b) => a.at.localeCompare(b.at))
    .slice(-EVENTS)
    .map(({ line }) => line);
}

async function logsAt(path: string): Promise<string[]> {
  if (path.endsWith(".log")) return [path];
  const names = await readdir(path);
  return names.filter((name) => name.endsWith(".log")).map((name) => join(path, name));
}

function readEvent(line: string): { readonly at: string; readonly said: string } {
  let event: Record<string, unknown>;
  try {
    event = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return { at: "", said: line }; // cut off by a kill
  }
  const rest = Object.entries(event).filter(
    ([key, value]) => !PLAIN.has(key) && typeof value !== "object",
  );
  const details = rest.map(([key, value]) => `${key}=${value}`).join(" ");
  const at = new Date(Number(event.time)).toISOString().slice("2026-01-01T".length, -1);
  return { at, said: `${event.event}: ${event.msg} ${details}` };
}
