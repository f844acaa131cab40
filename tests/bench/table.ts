/**
 * One table of several sections, aligned throughout.
 *
 * @module
 */

/** A part of the table with a heading of its own. */
export interface Section {
  readonly title: string;
  readonly rows: readonly (readonly string[])[];
  /** Lines below the rows. */
  readonly remarks: readonly string[];
}

const GAP = "  ";

/** The lines of the table. The first columns are set left, those from `numbers` on right, and the last left. */
export function formatTable(
  header: readonly string[],
  sections: readonly Section[],
  numbers: number,
): string {
  const widths = header.map((name) => name.length);
  for (const { rows } of sections) {
    for (const row of rows) {
      // What comes last may be as long as it likes.
      for (let i = 0; i < row.length - 1; i++) widths[i] = Math.max(widths[i] ?? 0, row[i]!.length);
    }
  }
  const line = (row: readonly string[]) => {
    const cells = row.map((cell, i) =>
      i === row.length - 1 ? cell : i < numbers ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)
    );
    return `${GAP}${cells.join(GAP)}`.trimEnd();
  };
  const lines = [line(header)];
  for (const { title, rows, remarks } of sections) {
    lines.push("", title, ...rows.map(line), ...remarks.map((remark) => `${GAP}${remark}`));
  }
  return lines.join("\n");
}

/** A number with as many digits as it needs to be told from its like. */
export function formatNumber(value: number): string {
  const size = Math.abs(value);
  if (!Number.isFinite(value)) return "–";
  if (size >= 100) return Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, " ");
  return value.toFixed(size >= 10 || size === 0 ? 1 : size >= 0.1 ? 2 : 3);
}
