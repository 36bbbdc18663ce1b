/**
 * A thread of the switch: joins the arena, makes its role, and goes round until it is told to finish.
 * It never returns to the event loop: messages are read when the arena says that there are some.
 */
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { Datapath } from '../datapath.ts';
import { createDriver } from '../port/driver.ts';
import type { DriverSpec } from '../port/port.ts';
import { Handler } from '../upcall/handler.ts';
import type { HandlerOptions, HandlerReply, HandlerRequest } from '../upcall/request.ts';
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
  round(nowMs: number): number;
  /** When `round` has something to do that nobody announces. */
  dueMs(): number;
  /** Takes nothing more in from outside. */
  drain(): void;
  close(): void;
  ask(request: HandlerRequest): HandlerReply;
}

const data = workerData as ThreadData;
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
    round: (nowMs) => (draining ? forwarder.finish(nowMs) : forwarder.round(nowMs)),
    dueMs: () => (draining ? Number.POSITIVE_INFINITY : forwarder.dueMs()),
    drain: () => {
      draining = true;
    },
    close: () => forwarder.close(),
    ask: () => {
      throw new Error('a datapath thread has no tables');
    },
  };
}

function handlerRole(options: HandlerOptions, journal: readonly HandlerRequest[] = []): Role {
  const handler = new Handler(datapath, options);
  for (const request of journal) handler.ask(request);
  return {
    begin: () => datapath.exports.removeAll(),
    round: (nowMs) => handler.round(nowMs),
    dueMs: () => handler.dueMs(),
    drain() {},
    close() {},
    ask: (request) => handler.ask(request),
  };
}

/** Answers one request; false when it is the last. */
function answer(role: Role, request: ThreadRequest): boolean {
  let reply: ThreadReply = { ok: [] };
  if (request.type === 'handler') {
    try {
      reply = { ok: role.ask(request.request) };
    } catch (error) {
      const { name, message } = error as Error;
      reply = { error: { name, message } };
    }
  } else {
    role.drain();
    while (role.round(clock()) > 0) sleeper.ringOthers();
    sleeper.ringOthers();
    if (request.type === 'finish') role.close();
  }
  data.mail.postMessage(reply);
  return request.type !== 'finish';
}

/** Does what the control side wants; false when that is to end. */
function readMail(role: Role): boolean {
  datapath.halt();
  datapath.takeMail();
  for (let mail = receiveMessageOnPort(data.mail); mail; mail = receiveMessageOnPort(data.mail)) {
    if (!answer(role, mail.message as ThreadRequest)) return false;
  }
  return true;
}

function run(role: Role): void {
  const load = new Load(datapath, clock());
  let hadWork = false;
  for (;;) {
    while (datapath.hasMail()) {
      if (!readMail(role)) return;
      hadWork = true;
    }
    const nowMs = clock();
    load.note(nowMs, hadWork);
    hadWork = role.round(nowMs) > 0;
    if (hadWork) {
      sleeper.ringOthers();
      sleeper.busy();
    } else {
      const dueMs = role.dueMs();
      hadWork = dueMs <= nowMs;
      sleeper.idle(nowMs, dueMs);
    }
  }
}

const role =
  data.role.name === 'datapath'
    ? await datapathRole(data.role.drivers)
    : handlerRole(data.role.options, data.role.journal);
datapath.halt();
role.begin();
data.mail.postMessage({ ok: [] } satisfies ThreadReply);
run(role);
datapath.exports.leave();
data.mail.close();
