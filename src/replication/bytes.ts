/** Whole numbers in network order. Buffer's own readers check their arguments, which is felt at millions of rows. */

export function int16At(bytes: Buffer, at: number): number {
  return (((bytes[at] as number) << 24) >> 16) | (bytes[at + 1] as number);
}

export function int32At(bytes: Buffer, at: number): number {
  return (
    ((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)
  );
}

export const uint32At = (bytes: Buffer, at: number): number => int32At(bytes, at) >>> 0;
