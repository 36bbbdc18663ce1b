/**
 * What is said over the control socket: one JSON object a line in, one out, in order.
 *
 *     → {"command":"show","what":"ports"}                    ← {"result":[{"number":1,"name":"web",…},…]}
 *     → {"command":"rules","kind":"flows","action":"add","text":"arp,…"} ← {"result":["1 flow added"]}
 *     → {"command":"port","action":"remove","name":"web"}    ← {"result":[]}
 *     → {"command":"watch"}                                  ← {"result":{"events":[…],"lost":0}}, again and again
 *     → {"command":"connections","filter":["zone=5"],"from":0}  ← {"result":{"rows":[…],"next":4711}}
 *     → {"command":"flush","filter":["tcp"],"from":0}           ← {"result":{"count":12}}
 *     → {"command":"limits","action":"set","text":"zone=5,limit=3"}  ← {"result":["1 limit set"]}
 *     → {"command":"timeouts","action":"del","text":"zone=5"}        ← {"result":["2 timeouts deleted"]}
 *     → {"command":"upcalls","action":"set","text":"max-idle=2000"}  ← {"result":["1 setting changed"]}
 *     → {"command":"sequenceChecking","on":false}           ← {"result":["sequence checking is off"]}
 *     → {"command":"events","filter":[]}                    ← {"result":{"events":[…],"lost":0}}, again and again
 *     → {"command":"trace","question":{"packet":{"flow":"in_port=web,arp"}}}  ← {"result":{"rounds":[…],…}}
 *     → {"command":"summary"}                                ← {"result":{"packetsReceived":1000,…}}
 *     → {"command":"kill","thread":1}                         ← {"result":["thread 1 killed"]}
 *     → {"command":"ping"}                                   ← {"result":{"name":"demo","pid":4711}}
 *     → anything else                                        ← {"error":"…","name":"Error"}
 */
import {
  type ConnectionPage,
  type FlushPage,
  RULE_COMMANDS,
  type RuleCommand,
  type RuleKind,
  SHOWN,
  type Shown,
  type Summary,
  type Trace,
  type TraceQuestion,
  UPCALL_ACTIONS,
  type UpcallAction,
  ZONE_ACTIONS,
  ZONE_SETTINGS,
  type ZoneAction,
  type ZoneSetting,
} from '../model.ts';

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
  | { command: 'upcalls'; action: UpcallAction; text: string }
  | { command: 'sequenceChecking'; on?: boolean | undefined }
  | { command: 'trace'; question: TraceQuestion }
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
        command:
          | 'rules'
          | ZoneSetting
          | 'upcalls'
          | 'sequenceChecking'
          | 'port'
          | 'mirror'
          | 'capture'
          | 'kill';
      }
    ? string[]
    : R extends { command: 'summary' }
      ? Summary
      : R extends { command: 'trace' }
        ? Trace
        : R extends { command: 'connections' }
          ? ConnectionPage
          : R extends { command: 'flush' }
            ? FlushPage
            : Pong;

/** Throws when `text` is not a request. */
export function parseRequest(text: string): Request {
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
    'upcalls',
    'sequenceChecking',
    'trace',
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
  if (request.command === 'upcalls') {
    expect('action', UPCALL_ACTIONS);
    expectText('text', 'what to set, or nothing as an empty text');
  }
  if (request.command === 'sequenceChecking' && !['boolean', 'undefined'].includes(typeof request.on)) {
    throw new Error(`on: found ${JSON.stringify(request.on)}, expected true, false or none`);
  }
  if (request.command === 'trace' && !isQuestion(request.question)) {
    throw new Error('question: found no packet, expected a flow, or a frame and its port');
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

function isQuestion(question: unknown): boolean {
  const { packet, whyNot } = Object(question);
  const { flow, frame, port } = Object(packet);
  const isText = (value: unknown) => typeof value === 'string';
  return (isText(flow) || (isText(frame) && isText(port))) && (whyNot === undefined || isText(whyNot));
}

/** A line of the socket. */
export const line = (value: object): string => `${JSON.stringify(value)}\n`;

/** The lines of a stream; throws when one is longer than `longest` bytes. */
export async function* linesOf(source: AsyncIterable<Buffer>, longest: number): AsyncGenerator<string> {
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

/** An error as it crosses the socket; its name tells a wrong flow from a switch that failed. */
export function failure(error: unknown): { error: string; name: string } {
  const { name, message } = error as Error;
  return { error: message, name };
}
