/**
 * What scenarios of order share: the second packet of a flow goes to the handler, and round once there; the others
 * find their flow in place. Datapath thread 0 has them, and `sender` sends them all.
 */
import { frameIn } from './batch';
import { changes } from './explore';
import { map } from './memory/arena';
import { isEmpty, ringBetween } from './memory/ring';
import {
  areOut,
  areWaiting,
  beginOrder,
  beginTurn,
  endRound,
  isDue,
  isOut,
  noteDone,
  noteOut,
  noteRound,
  takeDue,
  wait,
  waitingIn,
} from './order';
import { FRAME_RECORD, frameAt, passFrame } from './packet/frame';
import { PORT_UP, portAt, queued, transmitQueueOf } from './port/port';
import { passToHandler, publishMisses, takePassed } from './share';
import { collect, enqueue, hasWork } from './transmit';

const THREAD: u32 = 0;
const OUT: u32 = 1;
const STRAND: u32 = 7;

/** Threads below `handler` are datapath threads; there are so many packets. */
export function setUpOrder(handler: u32, packets: u32): void {
  map.handlerThread = handler;
  portAt(OUT).state = PORT_UP;
  changes(map.rings, map.shares - map.rings);
  changes(map.strands, map.ports - map.strands);
  changes(map.shares, map.strands - map.shares);
  changes(map.transmitQueues, map.rings - map.transmitQueues);
  changes(map.portCounters, map.flowCounters - map.portCounters);
  changes(map.frameRecords, <usize>(packets * FRAME_RECORD));
  changes(map.threads, map.counters - map.threads);
}

/** Datapath thread 0 or the handler is done with a packet, which `sender` is to send. */
function send(number: u32, from: u32, sender: u32): void {
  if (from == sender) return enqueue(number, OUT);
  frameAt(number).port = OUT;
  assert(passFrame(number, sender), 'no room');
}

/** A packet comes in that has a flow. */
function hit(number: u32, sender: u32): void {
  collect();
  beginOrder(true);
  if (areOut && (areWaiting(STRAND) || isOut(STRAND))) assert(wait(number, STRAND), 'no room to wait');
  else send(number, THREAD, sender);
}

/** Sends what has waited and may go on. */
function goOn(sender: u32): void {
  collect();
  const n = takeDue();
  for (let i: u32 = 0; i < n; i++) send(frameIn(i), THREAD, sender);
}

/** All packets come in, in order. */
export function receiveAll(packets: u32, sender: u32): void {
  hit(0, sender);
  miss(1);
  for (let number: u32 = 2; number < packets; number++) {
    hit(number, sender);
    goOn(sender);
  }
  while (!isEmpty(waitingIn(THREAD))) {
    while (!isDue() && (sender != THREAD || !hasWork()));
    goOn(sender);
  }
}

/** A packet comes in that has no flow. */
function miss(number: u32): void {
  assert(passToHandler(number, STRAND), 'no room');
  noteOut(STRAND);
  publishMisses();
}

/** `handler` takes the packet that it gets. */
export function handle(handler: u32, sender: u32): void {
  while (isEmpty(ringBetween(THREAD, handler)));
  const number = takePassed(THREAD);
  const frame = frameAt(number);
  beginTurn(frame, THREAD);
  noteRound(frame);
  noteDone();
  endRound(frame);
  send(number, handler, sender);
  noteDone();
}

export function checkOrder(packets: u32, sender: u32): void {
  const queue = transmitQueueOf(sender, OUT);
  assert(queue.count == packets, 'a packet is not sent');
  for (let i: u32 = 0; i < packets; i++) assert(queued(queue, i) == i, 'out of order');
}
