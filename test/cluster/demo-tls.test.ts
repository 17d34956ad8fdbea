/** `pg-replica demo --tls`: certificates of its own making, and no way in without TLS. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { useCluster } from "../support/fixture.ts";
import { cli, psql } from "../support/programs.ts";
import { value } from "../support/sql.ts";

const cluster = useCluster({ nodes: 1, tls: true });

test("clients are told to check the server, and psql does", async () => {
  const { uri, dir } = cluster();
  expect(uri).toContain(`sslmode=verify-full&sslrootcert=${join(dir, "node1", "ca.crt")}`);
  const ssl = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
  expect((await psql(uri, ssl)).stdout.trim()).toBe("t");
  expect(await value(cluster().node(1).control.uri, ssl)).toBe("true");
});

test("the command line reaches a control store in TLS, and says what else it would take", async () => {
  const { uri } = cluster().node(1).control;
  const { exitCode, stdout } = await cli(["status", "--uri", uri]);
  expect({ exitCode, stdout }).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining("node1"),
  });
  const half = await cli(["status", "--uri", uri.replace("verify-full", "require")]);
  expect(half.stderr).toContain(
    "--uri: sslmode=require: expected disable, allow, prefer or verify-full",
  );
});

test("nobody comes in plain text, nor believes a stranger's authority", async () => {
  for (const { uri } of [cluster().node(1).data, cluster().node(1).control]) {
    const plain = await psql(uri.replace("verify-full", "disable"), "select 1");
    expect(plain.stderr).toMatch(/no pg_hba\.conf entry .* no encryption/);
    const stranger = await psql(uri.replace(/sslrootcert=.*/, "sslrootcert=/dev/null"), "select 1");
    expect(stranger.exitCode).not.toBe(0);
  }
});
