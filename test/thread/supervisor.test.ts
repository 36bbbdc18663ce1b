/** What the supervisor decides: whom to start anew, whom to end, and when to give up. */
import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { regionAddress, THREAD_STRIDE, Thread } from '../../src/datapath.ts';
import { type Recovery, Supervisor } from '../../src/thread/supervisor.ts';
import { Rig } from '../support/rig.ts';

const CAUSE = 'unreachable';

/** A supervisor over threads that all sleep, and what it has done. */
function supervised(t: TestContext) {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const rig = new Rig({ threads: 3 });
  const field = (thread: number, offset: number) =>
    regionAddress(rig.arena, 'threads') + thread * THREAD_STRIDE + offset;
  const sleeps = (thread: number, asleep: boolean) => {
    rig.datapath.i32[field(thread, Thread.sleeping) >> 2] = asleep ? 1 : 0;
  };
  for (const { thread } of rig.threads) sleeps(thread, true);
  const done: string[] = [];
  const recoveries: Recovery[] = [];
  const supervisor = new Supervisor(rig.arena, {
    mayHang: (thread) => thread === 1,
    clear: (thread) => done.push(`clear ${thread}`),
    restart: async (thread) => {
      done.push(`restart ${thread}`);
    },
    end: (thread, cause) => done.push(`end ${thread}: ${cause}`),
    ring() {},
    recovered: (recovery) => recoveries.push(recovery),
    giveUp: ({ message }) => done.push(message),
  });
  supervisor.start();
  const round = (thread: number, nowMs: number) => {
    rig.datapath.f64[field(thread, Thread.nowMs) >> 3] = nowMs;
  };
  return {
    supervisor,
    done,
    recoveries,
    sleeps,
    round,
    seconds: (n: number) => t.mock.timers.tick(n * 1000),
  };
}

test('a thread that died is cleared up after and started anew', async (t) => {
  const { supervisor, done, recoveries } = supervised(t);
  supervisor.died(0, CAUSE, false);
  await supervisor.stop();
  assert.deepEqual(done, ['clear 0', 'restart 0']);
  const [{ thread, cause, frames, packets }] = recoveries as [Recovery];
  assert.deepEqual({ thread, cause, frames, packets }, { thread: 0, cause: CAUSE, frames: 0, packets: 0 });
});

test('threads that die at the same time are all started anew', async (t) => {
  const { supervisor, done } = supervised(t);
  for (const thread of [0, 1, 2]) supervisor.died(thread, CAUSE, true);
  await supervisor.stop();
  assert.deepEqual(done.slice(3), ['restart 0', 'restart 1', 'restart 2']);
});

test('one that dies five times as soon as it starts is given up', async (t) => {
  const { supervisor, done } = supervised(t);
  for (let i = 0; i < 5; i++) {
    supervisor.died(2, CAUSE, false);
    await supervisor.tidied();
  }
  assert.equal(done.filter((what) => what === 'restart 2').length, 4);
  assert.equal(done.at(-1), `thread 3 died 5 times within a second of its start: ${CAUSE}`);
});

test('one that somebody wanted dead is started however often that is', async (t) => {
  const { supervisor, done } = supervised(t);
  for (let i = 0; i < 20; i++) {
    supervisor.died(2, CAUSE, true);
    await supervisor.tidied();
  }
  assert.equal(done.filter((what) => what === 'restart 2').length, 20);
});

test('one that does no round for ten seconds, and is not asleep, is ended', (t) => {
  const { done, sleeps, round, seconds } = supervised(t);
  for (const thread of [0, 1]) sleeps(thread, false); // 1 may hang, 2 is asleep
  for (let second = 0; second < 20; second++) {
    round(0, second);
    seconds(1);
  }
  assert.deepEqual(done, []);
  seconds(10);
  assert.deepEqual(done, ['end 0: it did no round for 10 s']);
});

test('when all is to end, a death is nobody’s business', async (t) => {
  const { supervisor, done } = supervised(t);
  await supervisor.stop();
  supervisor.died(0, CAUSE, false);
  assert.deepEqual(done, []);
});
