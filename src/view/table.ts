/** Rows as a table: a head line, columns two spaces apart, numbers to the right. */
import Table from 'cli-table3';

export interface Column<Row> {
  head: string;
  cell: (row: Row) => string;
  /** Numbers stand to the right. */
  right?: boolean;
}

const LINES = ['top', 'bottom', 'left', 'right', 'mid'];
const CROSSINGS = ['top-mid', 'top-left', 'top-right', 'bottom-mid', 'bottom-left', 'bottom-right'];
const JOINTS = ['left-mid', 'mid-mid', 'right-mid'];
const NOTHING = Object.fromEntries([...LINES, ...CROSSINGS, ...JOINTS].map((part) => [part, '']));

/** Rows drawn at a time: the time that cli-table3 takes grows with their square. */
const ROWS_AT_ONCE = 20;

/** The lines of a table, without trailing spaces. */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string[] {
  const heads = columns.map(({ head }) => head);
  const cells = [heads, ...rows.map((row) => columns.map(({ cell }) => printable(cell(row))))];
  const widths = heads.map((_, i) => cells.reduce((width, row) => Math.max(width, row[i]!.length), 0));
  const lines: string[] = [];
  for (let i = 0; i < cells.length; i += ROWS_AT_ONCE) {
    const drawn = new Table({
      chars: { ...NOTHING, middle: '  ' },
      colAligns: columns.map(({ right }) => (right ? 'right' : 'left')),
      colWidths: widths,
      style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
    });
    drawn.push(...cells.slice(i, i + ROWS_AT_ONCE));
    lines.push(...drawn.toString().split('\n'));
  }
  return lines.map((line) => line.trimEnd());
}

/** What would move the cursor or split a line is shown as `?`. */
function printable(text: string): string {
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, '?');
}
