/**
 * The control socket, as a running switch serves it: a Unix socket that only its owner may open. What is said over it
 * stands in protocol.ts.
 */
import { randomBytes } from 'node:crypto';
import { linkSync, lstatSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { SwitchControl } from '../model.ts';
import { isAnswered } from '../sys/unix-socket.ts';
import { nameOf, ownFolder } from './places.ts';
import { failure, line, linesOf, type Pong, parseRequest, type Request, type Single } from './protocol.ts';

export interface ControlServer {
  readonly path: string;
  /** Stops listening, hangs up on everybody and removes the socket. */
  close(): Promise<void>;
}

/** Bytes of a request, which may carry a file of flows. */
const LONGEST_REQUEST = 16 << 20;
const MOST_CLIENTS = 32;
const MOST_SAME_NAME = 64;
const IDLE_MS = 60_000;

/**
 * Opens the socket where the configuration wants it; undefined when it wants none. A socket nobody answers
 * on is replaced. One that a live switch answers on is left alone: at the default place the next name is
 * taken, at a place of the user's choice that is an error.
 */
export async function openControl(
  { name, control }: { name: string; control?: string },
  target: SwitchControl,
): Promise<ControlServer | undefined> {
  if (control === 'none') return undefined;
  if (control !== undefined) return serveControl(control, target);
  const folder = ownFolder();
  for (let n = 1; n <= MOST_SAME_NAME; n++) {
    const path = join(folder, `${name}${n === 1 ? '' : `-${n}`}.sock`);
    try {
      return await serveControl(path, target);
    } catch (error) {
      if (!(error instanceof SocketTaken)) throw error;
    }
  }
  throw new Error(`${folder}: found ${MOST_SAME_NAME} running switches named ${name}, expected fewer`);
}

/** A live switch answers on this socket. */
export class SocketTaken extends Error {
  override readonly name = 'SocketTaken';
}

/** Serves `target` on a socket at `path`, mode 0600. Throws SocketTaken. */
export async function serveControl(path: string, target: SwitchControl): Promise<ControlServer> {
  await clear(path);
  const clients = new Set<Socket>();
  // Half open: a client that has said all it wants to say still gets its answers.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const hangUp = () => socket.destroy();
    if (clients.size >= MOST_CLIENTS) {
      socket.on('error', hangUp).end(line({ error: `more than ${MOST_CLIENTS} clients` }), hangUp);
      return;
    }
    clients.add(socket);
    socket.setTimeout(IDLE_MS, hangUp).once('close', () => clients.delete(socket));
    // A request that ends the reading must not end the writing before it is answered.
    const requests = socket.iterator({ destroyOnReturn: false });
    pipeline(answers(requests, target, nameOf(path)), socket).then(hangUp, hangUp);
  });

  // Bound under a name of its own and linked: of two switches that start at once, one gets the name.
  const bound = `${path}.${randomBytes(3).toString('hex')}`;
  await listen(server, bound);
  try {
    linkSync(bound, path);
  } catch (error) {
    server.close();
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw taken(path);
    throw error;
  }
  const { ino } = lstatSync(path);
  rmSync(bound);

  return {
    path,
    async close() {
      if (lstatSync(path, { throwIfNoEntry: false })?.ino === ino) rmSync(path);
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of clients) socket.destroy();
      await closed;
    },
  };
}

function taken(path: string): SocketTaken {
  return new SocketTaken(`${path}: found a running switch, expected a path that is free`);
}

/** Binding is what creates the file, and happens before `listen` returns: it is never wider than 0600. */
function listen(server: ReturnType<typeof createServer>, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject).once('listening', resolve);
    const umask = process.umask(0o177);
    try {
      server.listen(path);
    } finally {
      process.umask(umask);
    }
  });
}

/** Removes a socket that was left behind; throws when something else is at `path`. */
async function clear(path: string): Promise<void> {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there === undefined) return;
  if (!there.isSocket()) throw new Error(`${path}: found a file, expected a socket or nothing`);
  if (await isAnswered(path)) throw taken(path);
  rmSync(path, { force: true });
}

async function* answers(
  source: AsyncIterable<Buffer>,
  target: SwitchControl,
  name: string,
): AsyncGenerator<string> {
  try {
    for await (const request of linesOf(source, LONGEST_REQUEST)) {
      try {
        const parsed = parseRequest(request);
        if (parsed.command === 'watch') yield* all(target.watch());
        else if (parsed.command === 'events') yield* all(target.watchConnections(parsed.filter));
        else yield line({ result: await answer(parsed, target, name) });
      } catch (error) {
        yield line(failure(error));
      }
    }
  } catch (error) {
    yield line(failure(error));
  }
}

async function* all(results: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const result of results) yield line({ result });
}

function answer(request: Single, target: SwitchControl, name: string): unknown {
  switch (request.command) {
    case 'show':
      return target.show(request.what);
    case 'rules':
      return target.rules(request.kind, request.action, request.text);
    case 'port':
    case 'mirror':
      return change(request, target);
    case 'capture':
      return target.addCapture(request.name, request.port, request.file).then(() => []);
    case 'connections':
      return target.connections(request.filter, request.from);
    case 'flush':
      return target.flushConnections(request.filter, request.from);
    case 'limits':
    case 'timeouts':
      return target.changeZones(request.command, request.action, request.text);
    case 'upcalls':
      return target.changeUpcalls(request.action, request.text);
    case 'sequenceChecking':
      return target.sequenceChecking(request.on);
    case 'trace':
      return target.trace(request.question);
    case 'summary':
      return target.summary();
    case 'kill':
      return target.kill(request.thread);
    case 'ping':
      return { name, pid: process.pid } satisfies Pong;
  }
}

/** Adds or removes a port or a mirror. */
async function change(
  request: Request & { command: 'port' | 'mirror' },
  target: SwitchControl,
): Promise<string[]> {
  const { command, action, name } = request;
  if (action === 'add') await target[command === 'port' ? 'addPort' : 'addMirror'](name, request.text);
  else await target[command === 'port' ? 'removePort' : 'removeMirror'](name);
  return [];
}
