/**
 * A few lines on a terminal that are drawn over again. They stay below what was there before, and what is
 * left at the end is the last drawing.
 */

/** As much of a terminal as is needed: `process.stdout` when it is one. */
export interface Terminal {
  readonly columns: number;
  readonly rows: number;
  write(text: string): unknown;
}

export class Screen {
  readonly #terminal: Terminal;
  #drawn = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Draws `lines` over the last drawing. What does not fit is cut: a line that wraps could not be undrawn. */
  draw(lines: readonly string[]): void {
    const { columns, rows } = this.#terminal;
    const fitting = lines.slice(0, Math.max(1, rows - 1)).map((line) => line.slice(0, columns));
    const up = this.#drawn > 0 ? `\x1b[${this.#drawn}A` : '';
    this.#terminal.write(`${up}\r\x1b[J${fitting.map((line) => `${line}\n`).join('')}`);
    this.#drawn = fitting.length;
  }
}
