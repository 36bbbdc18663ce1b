/** Which ports a datapath thread polls, and when. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { BATCH, KEY_SIZE, OP_END, OP_OUTPUT, RING_SLOTS } from '../../src/datapath.ts';
import type { Port } from '../../src/port/port.ts';
import { Forwarder } from '../../src/thread/forwarder.ts';
import { ethernet, ipv4, udp } from '../support/packets.ts';
import { Rig } from '../support/rig.ts';

const PACKET = ethernet({}, ipv4({}, udp({}, new Uint8Array(20))));

/** A port that has nothing and notes what is done with it. */
class Idle implements Port {
  readonly descriptors: readonly number[] = [7];
  polls = 0;
  closed = 0;

  poll(): number {
    this.polls++;
    return 0;
  }

  transmit(): void {}

  dueMs(): number {
    return Number.POSITIVE_INFINITY;
  }

  close(): void {
    this.closed++;
  }
}

test('a port that was detached is polled no more, and closed when it is released', () => {
  const forwarder = new Forwarder(new Rig().datapath);
  const [first, second] = [new Idle(), new Idle()];
  forwarder.attach(1, first);
  forwarder.attach(2, second);
  forwarder.round();
  forwarder.detach(1);
  forwarder.round();
  assert.deepEqual([first.polls, second.polls, first.closed], [1, 2, 0]);
  assert.deepEqual(forwarder.descriptors, [7]);
  forwarder.release(1);
  assert.equal(first.closed, 1);
  forwarder.close();
  assert.deepEqual([first.closed, second.closed], [1, 1]);
});

test('nothing is taken in while another thread has no room, and nothing is dropped', () => {
  const rig = new Rig({ threads: 3, frames: 4096 });
  rig.open(1);
  rig.ports.open(2, 1, 1518);
  const any = new Uint8Array(KEY_SIZE);
  rig.handler.install(any, any, Uint32Array.of(OP_OUTPUT, 2, OP_END));
  const forwarder = new Forwarder(rig.datapath);
  const port = new Idle();
  forwarder.attach(1, port);
  for (let received = 0; received <= RING_SLOTS; received += BATCH) {
    rig.receive(1, Array(BATCH).fill(PACKET));
    forwarder.transmit();
  }
  assert.equal(forwarder.round(), 1, 'there is something to do still');
  assert.equal(port.polls, 0);
  while (rig.threads[1]!.exports.collect() > 0) {
    rig.transmit(rig.threads[1]);
    forwarder.round();
  }
  assert(port.polls > 0);
  assert.equal(forwarder.round(), 0);
  assert.deepEqual(rig.checkFates().dropped, {});
});
