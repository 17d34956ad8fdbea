/** Aligned columns, and colours where somebody looks. */
import { styleText } from "node:util";

type Style = Parameters<typeof styleText>[0];

export interface Column<Row> {
  readonly title: string;
  readonly text: (row: Row) => string;
  readonly right?: boolean;
  readonly style?: (row: Row) => Style | undefined;
}

/** One line of titles, one per row; the last column is not padded. */
export function table<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string {
  const widths = columns.map(({ title, text }) =>
    Math.max(title.length, ...rows.map((row) => text(row).length)),
  );
  const pad = (text: string, index: number, right = false) => {
    const width = widths[index] ?? 0;
    if (right) return text.padStart(width);
    return index === columns.length - 1 ? text : text.padEnd(width);
  };
  const titles = columns.map(({ title, right }, index) => paint("dim", pad(title, index, right)));
  const lines = rows.map((row) =>
    columns.map(({ text, right, style }, index) =>
      paint(style?.(row), pad(text(row), index, right)),
    ),
  );
  return [titles, ...lines].map((cells) => cells.join("  ").trimEnd()).join("\n");
}

/** Only on a terminal, and not under NO_COLOR. */
export function paint(style: Style | undefined, text: string): string {
  const wanted = process.stdout.isTTY === true && !process.env.NO_COLOR;
  return style === undefined || !wanted ? text : styleText(style, text, { validateStream: false });
}

/** JSON for machines: 64-bit numbers as numbers while a reader can hold them, else as text. */
export function json(value: unknown): string {
  const plain = (_: string, inner: unknown) => {
    if (typeof inner !== "bigint") return inner;
    return Number.isSafeInteger(Number(inner)) ? Number(inner) : inner.toString();
  };
  return JSON.stringify(value, plain, 2);
}
