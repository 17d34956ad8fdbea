import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { expect, test } from "vitest";
import { LoginError } from "../../src/replication/errors.ts";
import { md5Answer, saslPrep, startScram } from "../../src/replication/scram.ts";

const SALT = Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64");
const NONCE = "rOprNGfwEbeRWgbNEkqO";
const SERVER_NONCE = `${NONCE}%hvYDpWUa2RaTCAfuxFIlj)hNlF`;
const SERVER_FIRST = `r=${SERVER_NONCE},s=${SALT.toString("base64")},i=4096`;

const hmac = (key: Buffer, text: string) => createHmac("sha256", key).update(text).digest();

/** RFC 5802, section 3, written down a second time and from the server's side. */
function serverSide(password: string, signed: string) {
  const salted = pbkdf2Sync(password, SALT, 4096, 32, "sha256");
  const storedKey = createHash("sha256").update(hmac(salted, "Client Key")).digest();
  const signature = hmac(storedKey, signed);
  return {
    accepts: (proof: string) => {
      const key = Buffer.from(proof, "base64").map((byte, at) => byte ^ (signature[at] ?? 0));
      return createHash("sha256").update(key).digest().equals(storedKey);
    },
    final: `v=${hmac(hmac(salted, "Server Key"), signed).toString("base64")}`,
  };
}

async function exchange(password: string) {
  const start = startScram(password, { nonce: NONCE });
  const end = await start.answer(SERVER_FIRST);
  const [, withoutProof = "", proof = ""] = /^(.*),p=(.*)$/.exec(end.final) ?? [];
  const signed = `${start.first.slice("n,,".length)},${SERVER_FIRST},${withoutProof}`;
  return { start, end, proof, withoutProof, server: serverSide("pencil", signed) };
}

test("the server accepts the proof of the right password, and we its signature", async () => {
  const { start, end, proof, withoutProof, server } = await exchange("pencil");
  expect(start.first).toBe(`n,,n=,r=${NONCE}`);
  expect(withoutProof).toBe(`c=biws,r=${SERVER_NONCE}`);
  expect(server.accepts(proof)).toBe(true);
  expect(() => end.verify(server.final)).not.toThrow();
});

test("RFC 7677, section 3, to the byte", async () => {
  const nonce = `${SERVER_NONCE}$k0`;
  const start = startScram("pencil", { nonce: NONCE, user: "user" });
  expect(start.first).toBe(`n,,n=user,r=${NONCE}`);
  const end = await start.answer(`r=${nonce},s=${SALT.toString("base64")},i=4096`);
  expect(end.final).toBe(`c=biws,r=${nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`);
  expect(() => end.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")).not.toThrow();
});

test("of a name = and , are written out, and nothing else", () => {
  expect(startScram("x", { nonce: "n", user: "a=b,c=d ä" }).first).toBe("n,,n=a=3Db=2Cc=3Dd ä,r=n");
});

test.each([
  ["we could bind and the server offered it not", "y" as const, "y,,", "eSws"],
  ["bound", Buffer.from("hash"), "p=tls-server-end-point,,", undefined],
])("the channel: %s", async (_, binding, header, said) => {
  const start = startScram("pencil", { nonce: NONCE, binding });
  expect(start.first).toBe(`${header}n=,r=${NONCE}`);
  const channel = said ?? Buffer.from("p=tls-server-end-point,,hash").toString("base64");
  expect((await start.answer(SERVER_FIRST)).final).toMatch(`c=${channel},r=`);
});

test("a wrong password proves nothing, to either side", async () => {
  const { end, proof, server } = await exchange("pencils");
  expect(server.accepts(proof)).toBe(false);
  expect(() => end.verify(server.final)).toThrow(LoginError);
});

test.each(["", "e=other-error", "v=", "v=AAAA", "v=not base64!"])(
  "a server that answers %j is refused",
  async (text) => {
    const { end } = await exchange("pencil");
    expect(() => end.verify(text)).toThrow(LoginError);
  },
);

test.each([
  ["a nonce that is not ours, extended", `r=other${NONCE},s=AAAA,i=4096`],
  ["our nonce, not extended", `r=${NONCE},s=AAAA,i=4096`],
  ["no salt", `r=${SERVER_NONCE},i=4096`],
  ["a salt that is not base64", `r=${SERVER_NONCE},s=W22!,i=4096`],
  ["nothing in it", ""],
  ["no iterations", `r=${SERVER_NONCE},s=AAAA,i=0`],
  ["more iterations than a login is worth", `r=${SERVER_NONCE},s=AAAA,i=999999999`],
  ["an extension we must understand", `m=x,${SERVER_FIRST}`],
])("a first message with %s is refused", async (_, text) => {
  await expect(startScram("pencil", { nonce: NONCE }).answer(text)).rejects.toThrow(LoginError);
});

test("what a server adds to its messages is read over, and signed", async () => {
  const start = startScram("pencil", { nonce: NONCE });
  const first = `${SERVER_FIRST},x=more`;
  const end = await start.answer(first);
  const [, withoutProof = "", proof = ""] = /^(.*),p=(.*)$/.exec(end.final) ?? [];
  const signed = `${start.first.slice("n,,".length)},${first},${withoutProof}`;
  const server = serverSide("pencil", signed);
  expect(server.accepts(proof)).toBe(true);
  expect(() => end.verify(`${server.final},x=more`)).not.toThrow();
});

test("two exchanges never share a nonce", () => {
  expect(startScram("a").first).not.toBe(startScram("a").first);
});

test.each([
  ["I\u00adX", "IX", "a soft hyphen is nothing"],
  ["user", "user", "ASCII stays"],
  ["USER", "USER", "case stays"],
  ["\u00aa", "a", "NFKC"],
  ["\u2168", "IX", "NFKC to two letters"],
  ["pass\u00a0word", "pass word", "every space is a space"],
  ["ä\u0007", "ä\u0007", "what is prohibited is taken as it is, as PostgreSQL does"],
  ["\u0007", "\u0007", "and ASCII is never looked at"],
])("SASLprep of %j is %j: %s", (given, prepared) => expect(saslPrep(given)).toBe(prepared));

test("the md5 answer is PostgreSQL's: the stored hash, salted", () => {
  const stored = createHash("md5").update("secretbob").digest("hex");
  const salt = Buffer.from([1, 2, 250, 4]);
  const expected = createHash("md5").update(Buffer.concat([Buffer.from(stored), salt]));
  expect(md5Answer("bob", "secret", salt)).toBe(`md5${expected.digest("hex")}`);
});
