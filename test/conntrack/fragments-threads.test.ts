/** Fragments of one datagram that come in on different threads, while another thread sweeps. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { isMainThread } from 'node:worker_threads';
import { CT_COMMIT, HeldFragments, KEY_SIZE, NONE, OP_END, OP_OUTPUT } from '../../src/datapath.ts';
import { crew, type Job, type Shared, shared, work } from '../support/crew.ts';
import { datagram4, datagram6 } from '../support/fragments.ts';
import type { TestDatapath } from '../support/module.ts';
import { udp } from '../support/packets.ts';
import { Rig } from '../support/rig.ts';
import { seeded } from '../support/seeded.ts';
import { track } from '../support/tracked.ts';

const DATAGRAMS = 2000;
const FEEDERS = 2;
const PIECES = 4;
/** A feeder is so many datagrams ahead of the other at most, so there is room for all. */
const AHEAD = 40;

const frames = (id: number): Uint8Array[] => {
  const make = id & 1 ? datagram6 : datagram4;
  const { cut } = make({ id }, udp({ src: 1 + id, dst: 53 }, new Uint8Array(8 * PIECES - 8)));
  return Array.from({ length: PIECES }, (_, i) => cut(8 * i, 8 * i + 8));
};

/** Takes in the fragments of each datagram whose number in it is odd, or even, at a port of its own. */
const feed: Job = (datapath, progress) => {
  const { exports, thread } = datapath;
  let sent = 0;
  for (let id = 0; id < DATAGRAMS; id++) {
    while (id > Atomics.load(progress, 1 - thread) + AHEAD) {}
    const mine = frames(id).filter((_, i) => i % FEEDERS === thread);
    for (const [slot, bytes] of mine.entries()) {
      const frame = datapath.takeFrame(bytes.length);
      datapath.u8.set(bytes, datapath.dataAddress(frame));
      datapath.receive(slot, 1 + thread, frame, bytes.length);
    }
    exports.process(1 + thread, mine.length);
    sent += send(datapath);
    Atomics.add(progress, thread, 1);
  }
  Atomics.add(progress, FEEDERS, 1);
  exports.leave();
  return sent;
};

function send(datapath: TestDatapath): number {
  let sent = 0;
  const ready = datapath.exports.flush();
  for (let i = 0; i < ready; i++) datapath.drainQueue(datapath.readyPort(i), false, () => sent++);
  datapath.clearReadyPorts();
  return sent;
}

const sweep: Job = ({ exports }, progress) => {
  let swept = 0;
  while (Atomics.load(progress, FEEDERS) < FEEDERS) {
    swept += exports.sweepFragments();
    exports.fragmentsDueMs();
  }
  return swept;
};

function tests(): void {
  test(
    'every datagram is tracked once, by whoever brings its last fragment, and no frame is lost',
    seeded(async (random) => {
      const rig = new Rig({ threads: FEEDERS + 1, connections: DATAGRAMS, frames: 2048 });
      const fragments = new HeldFragments(rig.arena);
      for (const version of [4, 6] as const) fragments.set(version, { leastBytes: 0 });
      for (let thread = 0; thread < FEEDERS; thread++) {
        rig.ports.open(1 + thread, thread, 2000);
        const [mask, key] = [new Uint8Array(KEY_SIZE), new Uint8Array(KEY_SIZE)];
        mask.fill(0xff, 0, 2);
        key[0] = 1 + thread;
        const words = [...track(CT_COMMIT), OP_OUTPUT, 1 + thread, OP_END];
        assert.notEqual(rig.handler.install(mask, key, Uint32Array.from(words)), NONE);
      }
      const progress: Shared = shared(FEEDERS + 1);
      const jobs = [...Array<string>(FEEDERS).fill('feed'), 'sweep'];
      const [first, second, swept] = await crew(import.meta.url, rig.arena, jobs, progress, random.word());
      assert.deepEqual([Number(first) + Number(second), swept], [DATAGRAMS * PIECES, 0]);
      assert.equal(rig.datapath.exports.connectionCount(), DATAGRAMS);
      assert.deepEqual([fragments.held(4), fragments.held(6)], [0, 0]);
      const { received, forwarded } = rig.observer.totals();
      assert.deepEqual([received, forwarded], [DATAGRAMS * PIECES, DATAGRAMS * PIECES]);
      for (const version of [4, 6] as const) {
        const { accepted, completed } = rig.observer.fragments(version);
        assert.deepEqual([accepted, completed], [(DATAGRAMS * PIECES) / 2, (DATAGRAMS * PIECES) / 2]);
      }
    }),
  );
}

if (isMainThread) tests();
else work({ feed, sweep });
