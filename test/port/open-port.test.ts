/** An open port's queues are opened and closed together, or one anew by itself. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { KernelFrames } from '../../src/port/kernel-frames.ts';
import { OpenPort } from '../../src/port/open-port.ts';
import type { KernelCounts, Opening } from '../../src/port/port.ts';

/** A port type that notes what is done with it; opening fails when `fails` says so. */
class Fake implements Opening {
  readonly log: string[] = [];
  fails: (queue: number) => boolean = () => false;
  counts: () => KernelCounts = () => ({ rxMissed: 1, rxDropped: 2 });
  #opened = 0;

  openQueue(queue: number) {
    if (this.fails(queue)) throw new Error(`no queue ${queue}`);
    const name = `${queue}.${++this.#opened}`;
    this.log.push(`open ${name}`);
    return {
      driver: { type: 'fake', number: 1, name },
      counts: () => this.counts(),
      close: () => void this.log.push(`close ${name}`),
    };
  }

  link = () => ({ mtu: 1500, maxLength: 1514, carrier: true });

  close(): void {
    this.log.push('close');
  }
}

test('all queues or none', () => {
  const fake = new Fake();
  fake.fails = (queue) => queue === 2;
  assert.throws(() => new OpenPort(fake, 3), /no queue 2/);
  assert.deepEqual(fake.log, ['open 0.1', 'open 1.2', 'close 0.1', 'close 1.2', 'close']);
});

test('one queue is opened anew while the others go on, and its counts are kept', () => {
  const fake = new Fake();
  const port = new OpenPort(fake, 2);
  assert.deepEqual(port.counts(), { rxMissed: 2, rxDropped: 4 });
  assert.deepEqual(port.reopen(1), { type: 'fake', number: 1, name: '1.3' });
  assert.deepEqual(fake.log, ['open 0.1', 'open 1.2', 'close 1.2', 'open 1.3']);
  assert.deepEqual(port.counts(), { rxMissed: 3, rxDropped: 6 });
  port.close();
  assert.deepEqual(fake.log.slice(4), ['close 0.1', 'close 1.3', 'close']);
});

test('a queue is closed before the others, and closed once', () => {
  const fake = new Fake();
  const port = new OpenPort(fake, 2);
  port.closeQueue(0);
  assert.deepEqual(port.counts(), { rxMissed: 2, rxDropped: 4 });
  port.close();
  assert.deepEqual(fake.log, ['open 0.1', 'open 1.2', 'close 0.1', 'close 1.2', 'close']);
});

test('a queue that cannot be opened anew stays closed, and is closed once', () => {
  const fake = new Fake();
  const port = new OpenPort(fake, 1);
  fake.fails = () => true;
  assert.throws(() => port.reopen(0), /no queue 0/);
  assert.deepEqual(port.counts(), { rxMissed: 1, rxDropped: 2 });
  fake.fails = () => false;
  port.reopen(0);
  port.close();
  assert.deepEqual(fake.log, ['open 0.1', 'close 0.1', 'open 0.2', 'close 0.2', 'close']);
});

test('when the kernel does not tell, the last that it told counts', () => {
  const fake = new Fake();
  const port = new OpenPort(fake, 1);
  port.counts();
  fake.counts = () => {
    throw new Error('no such device');
  };
  assert.deepEqual(port.counts(), { rxMissed: 1, rxDropped: 2 });
});

test('frames for the kernel are dealt evenly to the queues that are planned, and sparingly to later ones', () => {
  const frames = new KernelFrames(16_384, 3);
  assert.deepEqual(
    [1, 2, 3].map(() => frames.take(4096)),
    [2048, 2048, 2048],
  );
  assert.deepEqual(
    [1, 2].map(() => frames.take(4096)),
    [1024, 512],
  );
  assert.equal(frames.take(4096), 256);
  assert.throws(() => frames.take(4096), /found 128 frames for another AF_XDP queue, expected 256/);
  frames.give(2048);
  assert.equal(frames.take(1000), 1000);
});
