import { expect, test } from "vitest";
import { BadHbaLine, renderHba, renderIdent } from "../../src/postgres/hba.ts";

const lines = (text: string) => text.trimEnd().split("\n").slice(1);

test("rules keep their order, and an operator's line stands as it was written", () => {
  const text = renderHba([
    {
      type: "local",
      database: "all",
      user: "postgres",
      method: "peer",
      options: { map: "pgreplica" },
    },
    {
      type: "host",
      database: "replication",
      user: "+pgreplica_peer",
      address: "all",
      method: "scram-sha-256",
    },
    "host all all 127.0.0.1/32 scram-sha-256",
    { type: "host", database: "all", user: "all", address: "::/0", method: "reject" },
  ]);
  expect(lines(text)).toEqual([
    "local all postgres peer map=pgreplica",
    "host replication +pgreplica_peer all scram-sha-256",
    "host all all 127.0.0.1/32 scram-sha-256",
    "host all all ::/0 reject",
  ]);
});

test("only a name that needs quotes gets them: a quoted all is the name of a role", () => {
  const text = renderHba([
    { type: "local", database: ["all", 'odd "name", really'], user: "a b#c", method: "reject" },
  ]);
  expect(lines(text)).toEqual(['local all,"odd ""name"", really" "a b#c" reject']);
});

test("a line that would become two, or swallow the next, is refused", () => {
  expect(() => renderHba(["local all all peer\nhost all all all trust"])).toThrow(BadHbaLine);
  expect(() => renderHba(["local all all peer \\"])).toThrow(BadHbaLine);
});

test("an address where none belongs, or none where one does, is refused", () => {
  expect(() =>
    renderHba([{ type: "host", database: "all", user: "all", method: "reject" }]),
  ).toThrow(BadHbaLine);
  expect(() =>
    renderHba([{ type: "local", database: "all", user: "all", address: "all", method: "reject" }]),
  ).toThrow(BadHbaLine);
});

test("an ident map admits named OS users", () => {
  const text = renderIdent([{ map: "pgreplica", systemUser: "root", databaseUser: "postgres" }]);
  expect(lines(text)).toEqual(["pgreplica root postgres"]);
});
