import { describe, expect, test } from "vitest";
import { createPool, type PoolOptions } from "../../src/client/index.ts";
import { settingsOf } from "../../src/client/options.ts";
import { parseUri } from "../../src/client/uri.ts";

describe("connection strings, as libpq reads them", () => {
  test("several hosts, each with its port, one of them a literal address", () => {
    const uri =
      "postgresql://app:p%40ss@db1,db2:5433,[::1]:5434/shop?target_session_attrs=read-write";
    expect(parseUri(uri)).toEqual({
      hosts: ["db1", "db2:5433", "[::1]:5434"],
      user: "app",
      password: "p@ss",
      database: "shop",
      mode: "read-write",
    });
  });

  test.each([
    ["any", "any"],
    ["read-write", "read-write"],
    ["primary", "read-write"],
    ["read-only", "read-only"],
    ["standby", "read-only"],
    ["prefer-standby", "prefer-standby"],
  ])("target_session_attrs=%s is mode %s", (attrs, mode) => {
    expect(parseUri(`postgres://u@h?target_session_attrs=${attrs}`).mode).toBe(mode);
  });

  test("host and port as parameters; a socket folder", () => {
    expect(parseUri("postgres://u@/db?host=/run/pg,db2&port=6000,6001").hosts).toEqual([
      "/run/pg:6000",
      "db2:6001",
    ]);
    expect(parseUri("postgres://u@a,b/db?port=6000").hosts).toEqual(["a:6000", "b:6000"]);
  });

  test.each([
    ["postgres://u@[::1]/db?port=6000", "[::1]:6000"],
    ["postgres://u@db1:5433/db?port=6000", "db1:6000"],
    ["postgres://u@db1:5433/db?host=::1", "[::1]:5433"],
    ["postgres://u@db1:/db", "db1"],
    ["postgres://u@[::1]/db", "[::1]"],
    ["postgres://u@%2Frun%2Fpg:6000/db", "/run/pg:6000"],
    ["postgres://u@/db", "localhost"],
  ])("%s is %s", (uri, host) => {
    expect(parseUri(uri).hosts).toEqual([host]);
  });

  test("seconds, TLS and the application's name", () => {
    const uri =
      "postgres://u@h/db?connect_timeout=3&sslmode=verify-full&sslrootcert=/ca.pem&application_name=x";
    expect(parseUri(uri)).toMatchObject({
      connectTimeoutMs: 3000,
      tls: { mode: "verify-full", ca: "/ca.pem" },
      applicationName: "x",
    });
  });

  test.each([
    ["mysql://u@h/db", /expected postgresql:/],
    ["postgres://u@h/db?fallback=1", /unknown parameter "fallback"/],
    ["postgres://u@h/db?target_session_attrs=writable", /target_session_attrs: "writable"/],
    ["postgres://u@a,b,c/db?port=1,2", /2 ports for 3 hosts/],
    ["postgres://u@a:b/db", /a host is not written as/],
    ["postgres://u@h/db?sslmode=maybe", /sslmode: "maybe"/],
    ["postgres://u%@h/db", /%/],
  ])("%s is refused", (uri, why) => {
    expect(() => parseUri(uri)).toThrow(why);
  });

  test("no refusal shows the password", () => {
    for (const uri of ["postgres://u:secret@h/db?what=1", "pg://u:secret@h"]) {
      const error = (() => {
        try {
          return parseUri(uri);
        } catch (thrown) {
          return thrown as Error;
        }
      })();
      expect(String(error)).not.toContain("secret");
    }
  });
});

describe("options", () => {
  test("every default in its place, hosts without duplicates", () => {
    const settings = settingsOf({ hosts: ["a", "a:5432", "[::1]:5433", "/run/pg"], user: "u" });
    expect(settings).toMatchObject({
      hosts: [
        { host: "a", port: 5432 },
        { host: "::1", port: 5433 },
        { host: "/run/pg", port: 5432 },
      ],
      database: "u",
      mode: "read-write",
      poolSize: 10,
      connectTimeoutMs: 2000,
      acquireTimeoutMs: 5000,
      idleTimeoutMs: 60_000,
      maxLifetimeMs: 1_800_000,
      tls: { mode: "prefer" },
      applicationName: "pg-replica",
      retry: { maxAttempts: 3, baseDelayMs: 50, maxDelayMs: 1000 },
      control: [],
      pingIntervalMs: 1000,
      preparedStatements: true,
    });
  });

  test.each([
    [{ hosts: [], user: "u" }, /hosts/],
    [{ hosts: ["a"] }, /user/],
    [{ hosts: ["a:99999"], user: "u" }, /port 99999/],
    [{ hosts: ["a"], user: "u", poolSize: 0 }, /poolSize/],
    [{ hosts: ["a"], user: "u", mode: "write" }, /mode/],
    [{ hosts: ["a"], user: "u", pollSize: 3 }, /pollSize/],
    [{ hosts: ["a"], user: "u", types: { getTypeParser: String } }, /types/],
    [{ hosts: ["a"], user: "u", retry: { maxAttempts: 0 } }, /retry.maxAttempts/],
  ])("%j is refused, the field named", (options, why) => {
    expect(() => createPool(options as unknown as PoolOptions)).toThrow(why);
  });
});
