/**
 * The control socket: how `heddle show` and `heddle flows` reach a running switch. A Unix socket that only
 * its owner may open, one JSON object a line in, one out, in order:
 *
 *     → {"command":"show","what":"ports"}                    ← {"result":[{"number":1,"name":"web",…},…]}
 *     → {"command":"rules","kind":"flows","action":"add","text":"arp,…"} ← {"result":["1 flow added"]}
 *     → {"command":"port","action":"remove","name":"web"}    ← {"result":[]}
 *     → {"command":"watch"}                                  ← {"result":{"events":[…],"lost":0}}, again and again
 *     → {"command":"connections","filter":["zone=5"],"from":0}  ← {"result":{"rows":[…],"next":4711}}
 *     → {"command":"flush","filter":["tcp"],"from":0}           ← {"result":{"count":12}}
 *     → {"command":"limits","action":"set","text":"zone=5,limit=3"}  ← {"result":["1 limit set"]}
 *     → {"command":"timeouts","action":"del","text":"zone=5"}        ← {"result":["2 timeouts deleted"]}
 *     → {"command":"sequenceChecking","on":false}           ← {"result":["sequence checking is off"]}
 *     → {"command":"events","filter":[]}                    ← {"result":{"events":[…],"lost":0}}, again and again
 *     → {"command":"summary"}                                ← {"result":{"packetsReceived":1000,…}}
 *     → {"command":"kill","thread":1}                         ← {"result":["thread 1 killed"]}
 *     → {"command":"ping"}                                   ← {"result":{"name":"demo","pid":4711}}
 *     → anything else                                        ← {"error":"…","name":"Error"}
 *
 * Sockets stand in a folder of the user's own, named after the switch: NAME.sock, NAME-2.sock, …
 */
import { randomBytes } from 'node:crypto';
import { linkSync, lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import {
  type ConnectionPage,
  type FlushPage,
  RULE_COMMANDS,
  type RuleCommand,
  type RuleKind,
  SHOWN,
  type Shown,
  type Summary,
  type SwitchControl,
  type Watched,
  type WatchedConnections,
  ZONE_ACTIONS,
  ZONE_SETTINGS,
  type ZoneAction,
  type ZoneSetting,
} from '../model.ts';
import { isAnswered } from '../sys/unix-socket.ts';

export type Request =
  | { command: 'show'; what: keyof Shown }
  | { command: 'rules'; kind: RuleKind; action: RuleCommand; text: string }
  | { command: 'port' | 'mirror'; action: 'add'; name: string; text: string }
  | { command: 'port' | 'mirror'; action: 'remove'; name: string }
  | { command: 'capture'; name: string; port: string; file: string }
  | { command: 'watch' }
  | { command: 'events'; filter: readonly string[] }
  | { command: 'connections' | 'flush'; filter: readonly string[]; from: number }
  | { command: ZoneSetting; action: ZoneAction; text: string }
  | { command: 'sequenceChecking'; on?: boolean | undefined }
  | { command: 'summary' }
  | { command: 'kill'; thread: number }
  | { command: 'ping' };

/** A request with one answer. */
export type Single = Exclude<Request, { command: 'watch' | 'events' }>;

/** Who answers: the name of its socket, and its process. */
export interface Pong {
  name: string;
  pid: number;
}

/** What a request is answered with. */
export type Answer<R extends Single> = R extends { command: 'show'; what: infer What extends keyof Shown }
  ? Shown[What][]
  : R extends {
        command: 'rules' | ZoneSetting | 'sequenceChecking' | 'port' | 'mirror' | 'capture' | 'kill';
      }
    ? string[]
    : R extends { command: 'summary' }
      ? Summary
      : R extends { command: 'connections' }
        ? ConnectionPage
        : R extends { command: 'flush' }
          ? FlushPage
          : Pong;

export interface ControlServer {
  readonly path: string;
  /** Stops listening, hangs up on everybody and removes the socket. */
  close(): Promise<void>;
}

/** Bytes of a request, which may carry a file of flows. */
const LONGEST_REQUEST = 16 << 20;
/** Bytes of an answer, which may carry a million flows. */
const LONGEST_ANSWER = 512 << 20;
const MOST_CLIENTS = 32;
const MOST_SAME_NAME = 64;
const IDLE_MS = 60_000;
const ANSWER_MS = 10_000;

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
    case 'sequenceChecking':
      return target.sequenceChecking(request.on);
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

/** Throws when `text` is not a request. */
function parseRequest(text: string): Request {
  let request: Record<string, unknown>;
  try {
    request = Object(JSON.parse(text));
  } catch {
    throw new Error('found a line that is not JSON, expected a request');
  }
  const expect = (key: string, choices: readonly string[]) => {
    if (choices.includes(request[key] as string)) return;
    throw new Error(`${key}: found ${JSON.stringify(request[key])}, expected one of ${choices.join(', ')}`);
  };
  const expectText = (key: string, what: string) => {
    if (typeof request[key] !== 'string') throw new Error(`${key}: found none, expected ${what}`);
  };
  expect('command', [
    'show',
    'rules',
    'port',
    'mirror',
    'capture',
    'watch',
    'events',
    'connections',
    'flush',
    ...ZONE_SETTINGS,
    'sequenceChecking',
    'summary',
    'kill',
    'ping',
  ]);
  if (request.command === 'show') expect('what', SHOWN);
  if (request.command === 'rules') {
    expect('kind', Object.keys(RULE_COMMANDS));
    expect('action', RULE_COMMANDS[request.kind as RuleKind]);
    expectText('text', 'flows, groups or meters, one a line');
  }
  if (request.command === 'port' || request.command === 'mirror') {
    expect('action', ['add', 'remove']);
    expectText('name', 'a name');
    if (request.action === 'add') expectText('text', 'what it is, as in a configuration');
  }
  if (request.command === 'capture') {
    for (const key of ['name', 'port', 'file']) expectText(key, 'a name');
  }
  if (ZONE_SETTINGS.includes(request.command as ZoneSetting)) {
    expect('action', ZONE_ACTIONS);
    expectText('text', `${request.command} of zones`);
  }
  if (request.command === 'sequenceChecking' && !['boolean', 'undefined'].includes(typeof request.on)) {
    throw new Error(`on: found ${JSON.stringify(request.on)}, expected true, false or none`);
  }
  if (['events', 'connections', 'flush'].includes(request.command as string)) {
    const { filter } = request;
    if (!Array.isArray(filter) || filter.some((word) => typeof word !== 'string')) {
      throw new Error('filter: found none, expected a list of words');
    }
  }
  if (request.command === 'connections' || request.command === 'flush') {
    if (!Number.isInteger(request.from) || !((request.from as number) >= 0)) {
      throw new Error('from: found no number, expected 0 or where the answer before said to go on');
    }
  }
  return request as Request;
}

const line = (value: object) => `${JSON.stringify(value)}\n`;

/** The lines of a stream; throws when one is longer than `longest` bytes. */
async function* linesOf(source: AsyncIterable<Buffer>, longest: number): AsyncGenerator<string> {
  let parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of source) {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      yield Buffer.concat([...parts, chunk.subarray(start, end)]).toString();
      parts = [];
      length = 0;
      start = end + 1;
    }
    parts.push(chunk.subarray(start));
    length += chunk.length - start;
    if (length > longest) throw new Error(`found a line of more than ${longest} bytes`);
  }
}

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

function nameOf(path: string): string {
  return basename(path, '.sock');
}

/** Where default sockets may be, best first. */
function places(): string[] {
  const uid = process.getuid!();
  const runtime = process.env.XDG_RUNTIME_DIR;
  return [
    ...(runtime ? [join(runtime, 'heddle')] : []),
    ...(uid === 0 ? ['/run/heddle'] : []),
    join(tmpdir(), `heddle-${uid}`),
  ];
}

/** The first of the places that can be had; made when it is missing. */
function ownFolder(): string {
  const folder = places().find(
    (place) => lstatSync(dirname(place), { throwIfNoEntry: false }) !== undefined,
  )!;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (!isOwn(folder))
    throw new Error(`${folder}: found a folder that others may write, expected one of yours alone`);
  return folder;
}

/** Nobody else can have put a socket there. */
function isOwn(folder: string): boolean {
  const stat = lstatSync(folder, { throwIfNoEntry: false });
  return stat?.isDirectory() === true && stat.uid === process.getuid!() && (stat.mode & 0o022) === 0;
}

/** An error as it crosses the socket; its name tells a wrong flow from a switch that failed. */
function failure(error: unknown): { error: string; name: string } {
  const { name, message } = error as Error;
  return { error: message, name };
}
