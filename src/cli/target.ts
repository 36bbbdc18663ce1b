/** Finds the running switch that a command is about. */
import { findSwitches } from '../control/ask.ts';
import { type Target, UsageError } from './usage.ts';

/** The path of its control socket. Throws UsageError when it is not clear which switch is meant. */
export async function findTarget({ name, socket }: Target): Promise<string> {
  if (socket !== undefined) return socket;
  const running = await findSwitches();
  const names = running.map((found) => found.name).join(', ');
  if (running.length === 0) throw new Error('found no running switch; "heddle run CONFIG" starts one');
  if (name === undefined) {
    if (running.length === 1) return running[0]!.path;
    throw new UsageError(`found ${running.length} running switches, expected --name with one of ${names}`);
  }
  const named = running.filter((found) => found.name === name);
  if (named.length === 1) return named[0]!.path;
  if (named.length === 0) throw new UsageError(`--name: found "${name}", expected one of ${names}`);
  const paths = named.map((found) => found.path).join(', ');
  throw new UsageError(
    `found ${named.length} running switches named ${name}, expected --socket with one of ${paths}`,
  );
}
