/** DER, as far as certificates need it (X.690): values to bytes. Pure. */

/** Tag, length, content. */
export function tlv(tag: number, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content);
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const length = Buffer.from(evenHex(body.length.toString(16)), "hex");
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, body]);
}

export const sequence = (...content: readonly Buffer[]) => tlv(0x30, ...content);
export const set = (...content: readonly Buffer[]) => tlv(0x31, ...content);
export const octets = (content: Buffer) => tlv(0x04, content);
export const utf8 = (text: string) => tlv(0x0c, Buffer.from(text, "utf8"));
export const yes = tlv(0x01, Buffer.from([0xff]));
/** With `unused` bits at the end that do not count. */
export const bits = (content: Buffer, unused = 0) => tlv(0x03, Buffer.from([unused]), content);
/** `[n]` around something constructed. */
export const explicit = (n: number, content: Buffer) => tlv(0xa0 | n, content);
/** `[n]` in place of a primitive's own tag. */
export const implicit = (n: number, content: Buffer) => tlv(0x80 | n, content);

/** A number of any length, not negative: its first bit is no sign. */
export function integer(bytes: Buffer): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0);
  const short = first < 0 ? Buffer.from([0]) : bytes.subarray(first);
  return tlv(0x02, (short[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.from([0]), short]) : short);
}

/** `2.5.29.17` and the like. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const bytes = [first * 40 + second, ...rest].flatMap((arc) => {
    const digits = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) digits.unshift((left & 0x7f) | 0x80);
    return digits;
  });
  return tlv(0x06, Buffer.from(bytes));
}

/** UTCTime, or from 2050 on GeneralizedTime; to the second. */
export function time(at: Date): Buffer {
  const text = `${at.toISOString().replaceAll(/[-:T]/g, "").slice(0, 14)}Z`;
  // RFC 5280, section 4.1.2.5: UTCTime through 2049.
  return at.getUTCFullYear() < 2050
    ? tlv(0x17, Buffer.from(text.slice(2), "latin1"))
    : tlv(0x18, Buffer.from(text, "latin1"));
}

function evenHex(hex: string): string {
  return hex.length % 2 === 0 ? hex : `0${hex}`;
}
