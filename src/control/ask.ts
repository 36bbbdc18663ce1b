/** Asks a running switch, over its control socket. */
import { readdirSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import type { Watched, WatchedConnections } from '../model.ts';
import { isOwn, places } from './places.ts';
import { type Answer, line, linesOf, type Pong, type Request, type Single } from './protocol.ts';

/** Bytes of an answer, which may carry a million flows. */
const LONGEST_ANSWER = 512 << 20;
const ANSWER_MS = 10_000;

/** Asks the switch behind the socket at `path`. Throws what it answers as an error, or that nobody answers. */
export async function askSwitch<const R extends Single>(path: string, request: R): Promise<Answer<R>> {
  for await (const result of results(path, request)) return result as Answer<R>;
  throw new Error(`${path}: found no answer, expected one line of JSON`);
}

/** What happens in the switch behind the socket at `path`, from now until it ends. Throws as `askSwitch`. */
export function watchSwitch(path: string): AsyncIterable<Watched> {
  return results(path, { command: 'watch' }) as AsyncIterable<Watched>;
}

/** The same for connections that pass a filter. */
export function watchConnections(path: string, filter: readonly string[]): AsyncIterable<WatchedConnections> {
  return results(path, { command: 'events', filter }) as AsyncIterable<WatchedConnections>;
}

/** The answers to a request, each within ANSWER_MS of the one before. */
async function* results(path: string, request: Request): AsyncGenerator<unknown> {
  const socket = createConnection(path);
  socket.setTimeout(ANSWER_MS, () =>
    socket.destroy(new Error(`${path}: found no answer in ${ANSWER_MS} ms`)),
  );
  try {
    socket.write(line(request));
    for await (const text of linesOf(socket, LONGEST_ANSWER)) {
      const { result, error, name } = JSON.parse(text);
      if (error !== undefined) throw Object.assign(new Error(error), { name });
      yield result;
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ECONNREFUSED')
      throw new Error(`${path}: found no running switch there`);
    if (code === 'EACCES') throw new Error(`${path}: found a switch of somebody else, expected one of yours`);
    throw error;
  } finally {
    socket.destroy();
  }
}

/** A running switch and where to ask it. */
export interface Found extends Pong {
  path: string;
}

/** The switches that answer in the default places, by name. */
export async function findSwitches(): Promise<Found[]> {
  const paths = places().flatMap((folder) => {
    if (!isOwn(folder)) return [];
    return readdirSync(folder)
      .filter((file) => file.endsWith('.sock'))
      .map((file) => join(folder, file));
  });
  const asked = await Promise.allSettled(
    paths.map(async (path) => ({ path, ...(await askSwitch(path, { command: 'ping' })) })),
  );
  return asked
    .flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
    .sort((a, b) => a.name.localeCompare(b.name));
}
