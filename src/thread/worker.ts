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
import { readChange } from '../upcall/change.ts';
import { Handler } from '../upcall/handler.ts';
import type { HandlerReply } from '../upcall/request.ts';
import { Revalidator } from '../upcall/revalidator.ts';
import { slowOn } from '../upcall/slow.ts';
import { writeTold } from '../upcall/told.ts';
import { clockFrom } from './clock.ts';
import { Forwarder } from './forwarder.ts';
import { Load } from './load.ts';
import type { SlowRole, ThreadData, ThreadReply, ThreadRequest } from './messages.ts';
import { Sleeper } from './sleeper.ts';

/** Whoever waits for others in the middle of an answer looks around so often. */
const LONGEST_WAIT_MS = 10;
/** Batches take far less, unless one waits for a pipe. */
const LONGEST_BATCH_MS = 100;

/** A role as the loop sees it. */
interface Role {
  /** Right before it goes round. */
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
    default:
      throw new Error('a datapath thread has no tables');
  }
}

/** What a thread of the slow path has. */
const slowOf = ({ macAgeingMs, tables }: SlowRole) =>
  slowOn(datapath, macAgeingMs, readChange(tables), (told) =>
    data.mail.postMessage({ told: writeTold(told) } satisfies ThreadReply),
  );

function handlerRole(given: SlowRole): Role {
  const handler = new Handler(slowOf(given), given.index === 0);
  return {
    begin() {},
    round: () => handler.round(datapath.nowMs),
    dueMs: () => handler.dueMs(),
    drain() {},
    close: () => handler.close(),
    answer(request) {
      look(); // it may have slept for long
      if (request.type === 'ask') return handler.ask(request.request);
      if (request.type !== 'follow') throw new Error('a handler has neither ports nor rounds');
      handler.follow(readChange(request.change));
      return [];
    },
  };
}

function revalidatorRole(given: SlowRole): Role {
  const revalidator = new Revalidator(slowOf(given), given.index);
  return {
    begin: () => revalidator.begin(),
    round() {
      look(); // a slice of a round may take milliseconds
      return revalidator.round(datapath.nowMs);
    },
    dueMs: () => revalidator.dueMs(),
    drain() {},
    close() {},
    async answer(request) {
      if (request.type === 'follow') revalidator.follow(readChange(request.change));
      else if (request.type === 'round') await wholeRound(revalidator);
      else throw new Error('a revalidator has neither ports nor connections');
      return [];
    },
  };
}

/**
 * Goes round until every flow has been seen to from now on, and what was retired until then has been credited for the
 * last time; but not for a thread that is long about a batch, since it may wait for a pipe.
 */
async function wholeRound(revalidator: Revalidator): Promise<void> {
  look();
  const wanted = revalidator.want();
  goOn(revalidator, () => revalidator.has(wanted));
  const epoch = datapath.exports.currentEpoch();
  const untilMs = datapath.nowMs + LONGEST_BATCH_MS;
  goOn(revalidator, () => datapath.exports.areGivenBack(epoch) !== 0 || datapath.nowMs > untilMs);
}

/** Goes round until `isDone`. Others may need this thread to stand still meanwhile. */
function goOn(revalidator: Revalidator, isDone: () => boolean): void {
  for (; !isDone(); look()) {
    if (revalidator.round(datapath.nowMs) > 0) sleeper.ringOthers();
    else {
      datapath.exports.leave();
      datapath.wait(revalidator, LONGEST_WAIT_MS);
    }
    datapath.halt();
  }
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

function roleOf(given: ThreadData['role']): Role | Promise<Role> {
  if (given.name === 'datapath') return datapathRole(given.drivers);
  return given.name === 'handler' ? handlerRole(given) : revalidatorRole(given);
}

const role = await roleOf(data.role);
datapath.halt();
role.begin();
data.mail.postMessage({ ok: [] } satisfies ThreadReply);
await run(role);
datapath.exports.leave();
data.mail.close();
