/**
 * What is wrong with a file that people wrote, said so that its writer can mend it: where, what stands there, and
 * what would have been right.
 *
 *     demo.yaml:7:12: ports.alice.type: found "packt", expected one of packet, afxdp (did you mean packet?)
 */
import { nearest } from '../nearest.ts';

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

/** A file that cannot be used; its message has one line a problem. */
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
