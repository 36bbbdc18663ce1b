/**
 * A thread of the switch: joins the arena, makes its role, and goes round until it is told to finish.
 * It returns to the event loop only to answer messages, which it reads when the arena says that there are some.
 */
import { once } from 'node:events';
import { parentPort, receiveMessageOnPort } from 'node:worker_threads';
import { Datapath } from '../datapath.ts';
import type { DriverSpec } from '../port/port.ts';
import { createDriver } from '../port/types.ts';
import { hasLibc } from '../sys/libc.ts';
import { Handler } from '../upcall/handler.ts';
import type { HandlerReply, HandlerRequest } from '../upcall/request.ts';
import { clockFrom } from './clock.ts';
import { Forwarder } from './forwarder.ts';
import { Load } from './load.ts';
import type { ThreadData, ThreadReply, ThreadRequest } from './messages.ts';
import { Sleeper } from './sleeper.ts';

/** A role as the loop sees it. */
interface Role {
  /** Makes sure that nothing is left of a thread that was there before. */
  begin(): void;
  /** Does what there is to do; returns how much. */
  round(): number;
  /** When `round` has something to do that nobody announces. */
  dueMs(): number;
  /** Takes nothing more in from outside. */
  drain(): void;
  close(): void;
  /** Does what is asked. Throws when that fails; the role goes on. */
  answer(request: RoleRequest): HandlerReply | Promise<HandlerReply>;
}

/** Requests that do not end the role. */
type RoleRequest = Exclude<ThreadRequest, { type: 'drain' | 'finish' }>;

/**
 * The system library first: a worker that is ended while that loads takes the process with it, and a spare is
 * ended only when it is told so here, where it waits for which thread it is.
 */
hasLibc();
const [told] = (await once(parentPort!, 'message')) as [ThreadData | null];
const data: ThreadData = told ?? process.exit();
parentPort!.close();
const datapath = new Datapath(data.arena, data.thread);
const clock = clockFrom(data.clockOrigin);
const sleeper = new Sleeper(datapath, data.doorbells);

async function datapathRole(drivers: DriverSpec[]): Promise<Role> {
  const forwarder = new Forwarder(datapath);
  for (const spec of drivers) forwarder.attach(spec.number, await createDriver(datapath, spec));
  sleeper.watch(forwarder.descriptors);
  let draining = false;
  return {
    begin() {},
    round: () => (draining ? forwarder.finish() : forwarder.round()),
    dueMs: () => (draining ? Number.POSITIVE_INFINITY : forwarder.dueMs()),
    drain: () => {
      draining = true;
    },
    close: () => forwarder.close(),
    async answer(request) {
      await changePorts(forwarder, request);
      return [];
    },
  };
}

async function changePorts(forwarder: Forwarder, request: RoleRequest): Promise<void> {
  switch (request.type) {
    case 'attach':
      forwarder.attach(request.driver.number, await createDriver(datapath, request.driver));
      return sleeper.watch(forwarder.descriptors);
    case 'detach':
      forwarder.detach(request.number);
      return sleeper.watch(forwarder.descriptors);
    case 'release':
      return forwarder.release(request.number);
    case 'settle':
      return forwarder.settle();
    case 'handler':
      throw new Error('a datapath thread has no tables');
  }
}

/** `journal`: what a handler that died had been asked. This one does the same again; the other's flows go. */
function handlerRole(handler: Handler, journal: readonly HandlerRequest[] = []): Role {
  handler.replay(journal);
  return {
    begin: () => datapath.exports.removeAll(),
    round: () => handler.round(datapath.nowMs),
    dueMs: () => handler.dueMs(),
    drain() {},
    close: () => handler.close(),
    answer(request) {
      if (request.type !== 'handler') throw new Error('the handler has no ports');
      look(); // it may have slept for long
      return handler.ask(request.request);
    },
  };
}

/** Answers one request; false when it is the last. */
async function answer(role: Role, request: ThreadRequest): Promise<boolean> {
  let reply: ThreadReply = { ok: [] };
  if (request.type === 'drain' || request.type === 'finish') {
    role.drain();
    while (roundOf(role) > 0) sleeper.ringOthers();
    if (request.type === 'finish') role.close();
  } else {
    try {
      reply = { ok: await role.answer(request) };
    } catch (error) {
      const { name, message } = error as Error;
      reply = { error: { name, message } };
    }
  }
  sleeper.ringOthers();
  data.mail.postMessage(reply);
  return request.type !== 'finish';
}

/** Does what the control side wants; false when that is to end. */
async function readMail(role: Role): Promise<boolean> {
  datapath.halt();
  datapath.takeMail();
  for (let mail = receiveMessageOnPort(data.mail); mail; mail = receiveMessageOnPort(data.mail)) {
    if (!(await answer(role, mail.message as ThreadRequest))) return false;
  }
  return true;
}

/** Looks at the clock. */
function look(): void {
  datapath.setClock(clock());
}

/** Lets the role go round once, now. */
function roundOf(role: Role): number {
  look();
  return role.round();
}

/**
 * Rounds between two looks at the clock: some 3 us each in vain, some 30 us with work, so the clock is half a
 * millisecond behind at most. A look costs memory, and the rest of a round next to none, so the collector has
 * little to do.
 */
const ROUNDS_A_LOOK = 16;

/** Goes round until there is mail. Not in `run`: what awaits is compiled with less care than what does not. */
function goRound(role: Role, load: Load, hadMail: boolean): void {
  let hadWork = hadMail;
  let untilLook = 0;
  while (!datapath.hasMail()) {
    if (untilLook-- === 0) {
      look();
      untilLook = ROUNDS_A_LOOK;
    }
    load.note(hadWork);
    hadWork = role.round() > 0;
    if (hadWork) {
      sleeper.ringOthers();
      sleeper.busy();
    } else {
      const idle = sleeper.idle(role);
      hadWork = idle === 'due';
      if (idle === 'slept') untilLook = 0;
    }
  }
}

async function run(role: Role): Promise<void> {
  look();
  const load = new Load(datapath);
  for (let hadMail = false; ; hadMail = true) {
    goRound(role, load, hadMail);
    while (datapath.hasMail()) if (!(await readMail(role))) return;
  }
}

const role =
  data.role.name === 'datapath'
    ? await datapathRole(data.role.drivers)
    : handlerRole(new Handler(datapath, data.role.options), data.role.journal);
datapath.halt();
role.begin();
data.mail.postMessage({ ok: [] } satisfies ThreadReply);
await run(role);
datapath.exports.leave();
data.mail.close();
