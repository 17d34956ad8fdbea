/** Running a program: its answer, its end, its limit, and ours to end it. */
import { expect, test } from "vitest";
import { RunFailed, runProgram } from "../../src/postgres/run.ts";

const limitMs = 5000;
const shell = (script: string, more: Partial<Parameters<typeof runProgram>[2]> = {}) =>
  runProgram("/bin/sh", ["-c", script], { limitMs, ...more });

test("answers what it printed and how it ended, which is the caller's to judge", async () => {
  expect(await shell("echo one; echo two; echo no >&2; exit 3")).toEqual({
    exitCode: 3,
    stdout: "one\ntwo",
    stderrTail: "no",
  });
});

test("reads nothing, speaks English, and hears none of our PG variables", async () => {
  process.env.PGPORT = "1";
  try {
    const { stdout } = await shell('cat; echo "$LC_ALL $PGPORT $MORE"', {
      env: { MORE: "more" },
    });
    expect(stdout).toBe("C  more");
  } finally {
    delete process.env.PGPORT;
  }
});

test("keeps the end of what it complained about", async () => {
  const { stderrTail } = await shell(
    "for i in 1 2 3; do head -c 3000 /dev/zero | tr '\\0' $i >&2; done",
  );
  expect(stderrTail).toBe("2".repeat(1000) + "3".repeat(3000));
});

test("that cannot be started, or dies of a signal, fails and says why", async () => {
  const missing = runProgram("/no/such/program", [], { limitMs });
  await expect(missing).rejects.toThrow(/^\/no\/such\/program: .*ENOENT/);
  await expect(missing).rejects.toBeInstanceOf(RunFailed);
  await expect(shell("echo why >&2; kill -9 $$")).rejects.toThrow("/bin/sh: ended by SIGKILL: why");
});

test("that outlasts its limit is killed", async () => {
  await expect(shell("exec sleep 30", { limitMs: 100 })).rejects.toThrow(
    "/bin/sh: not within 100 ms",
  );
});

test("is ended by a signal of ours, with its reason", async () => {
  const controller = new AbortController();
  const running = shell("exec sleep 30", { signal: controller.signal });
  controller.abort(new Error("no longer wanted"));
  await expect(running).rejects.toThrow("no longer wanted");
  await expect(shell("true", { signal: controller.signal })).rejects.toThrow("no longer wanted");
});
