/** What the commands' arguments have in common: options that more than one has, and how values are read. */
import { type Stats, statSync } from 'node:fs';
import { type Command, InvalidArgumentError } from 'commander';

/** The arguments do not fit the situation; exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Longest a timer can run. */
const MOST_SECONDS = 2_000_000;

/** An option's value as seconds, which may be a fraction. */
export function seconds(text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (value > 0 && value <= MOST_SECONDS) return value;
  throw new InvalidArgumentError(`Expected seconds, more than 0 and at most ${MOST_SECONDS}.`);
}

/** An option's value as a number of things, one at least. */
export function wholeNumber(text: string): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (value > 0) return value;
  throw new InvalidArgumentError('Expected a whole number, 1 at least.');
}

/** An option's value as a whole number within bounds. */
export function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`Expected a whole number from ${least} to ${most}.`);
  };
}

/** What the file system knows of a capture that is to be read. Throws when it is not there. */
export function statCapture(path: string): Stats {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats) return stats;
  throw new Error(`${path}: found no such file, expected a pcap or pcapng capture`);
}

/** Which running switch is meant. */
export interface Target {
  name?: string;
  socket?: string;
}

/** Adds the options of Target; they are not needed when just one switch is running. */
export function withTarget(command: Command): Command {
  return command
    .option('--name <name>', 'the running switch of that name')
    .option('--socket <path>', 'the running switch behind that control socket');
}
