/** What the commands' arguments have in common: options that more than one has, and how values are read. */
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
