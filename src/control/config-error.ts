/**
 * What is wrong with a configuration, said so that its writer can mend it: where, what stands there, and
 * what would have been right.
 *
 *     demo.yaml:7:12: ports.alice.type: found "packt", expected one of packet, afxdp (did you mean packet?)
 */

/** Line and column in a file, both from 1. */
export interface Place {
  line: number;
  column: number;
}

export interface Problem extends Partial<Place> {
  file: string;
  /** Keys from the top of the file, joined by dots; empty: the file as a whole. */
  path: string;
  found: string;
  /** Choices are written `one of a, b, c`: the nearest of them is suggested. */
  expected: string;
}

/** Problems shown before the rest are only counted. */
const SHOWN = 20;

/** A configuration that cannot be used; its message has one line a problem. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    const lines = problems.slice(0, SHOWN).map(describeProblem);
    if (problems.length > SHOWN) lines.push(`and ${problems.length - SHOWN} more`);
    super(lines.join('\n'));
    this.problems = problems;
  }
}

function describeProblem({ file, line, column, path, found, expected }: Problem): string {
  const place = line === undefined ? file : `${file}:${line}:${column}`;
  const choices = expected.startsWith('one of ') ? expected.slice('one of '.length).split(', ') : [];
  const meant = nearest(found.replaceAll('"', ''), choices);
  const hint = meant === undefined ? '' : ` (did you mean ${meant}?)`;
  return `${place}: ${path === '' ? '' : `${path}: `}found ${found}, expected ${expected}${hint}`;
}

/** A value as a problem shows it: short, on one line. */
export function describe(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  if (typeof value !== 'string') return String(value);
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
}

/** The choice that `word` was probably meant to be: at most a third of its letters differ. */
export function nearest(word: string, choices: readonly string[]): string | undefined {
  const ranked = choices
    .map((choice) => ({ choice, distance: distance(word, choice) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best && best.distance <= Math.max(1, best.choice.length / 3) ? best.choice : undefined;
}

/** Letters to insert, delete, replace or swap with their neighbour (Damerau 1964). */
function distance(a: string, b: string): number {
  if (a.length > 64) return a.length;
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      row[j] = Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, rows[i - 1]![j - 1]! + change);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) row[j] = Math.min(row[j]!, rows[i - 2]![j - 2]! + 1);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}
