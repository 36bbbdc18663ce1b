/** Events of connections: two threads note them, one with a single place left, and a third takes them. */
import { Connection } from '../conntrack/connection';
import {
  EVENT_CONNECTION,
  EVENT_NEW,
  EVENT_RING_EVENTS,
  EVENT_RING_STRIDE,
  EVENT_STRIDE,
  EVENTS,
  EventReader,
  EventRecord,
  EventRing,
  endEvent,
  nextEvent,
  noteEvent,
  takeLostEvents,
} from '../conntrack/events';
import { scratch, shares } from '../explore';
import { map } from '../memory/arena';
import { self } from '../memory/thread';

/** Counts are about to wrap. */
const START: u32 = 0xffffffff;

/** What is known of the events of one thread. */
@unmanaged
class Books {
  noted: u32;
  last: u32; // the last that was taken
}

function booksOf(thread: u32): Books {
  return changetype<Books>(scratch() + ((<usize>thread) << 3));
}

/** How many were taken, of all threads; and of those that were there from the beginning, which say nothing. */
function taken(isBlank: bool): usize {
  return scratch() + (isBlank ? 64 : 68);
}

/** The connection of a thread: its mark and label are the number of its last event, the label's other half the thread's. */
function connectionOf(thread: u32): Connection {
  return changetype<Connection>(scratch() + 256 + <usize>thread * 256);
}

function ringOf(thread: u32): usize {
  return map.eventRings + <usize>thread * EVENT_RING_STRIDE;
}

export function setUp(): void {
  map.eventsWanted = 1;
  for (let thread: u32 = 0; thread < 2; thread++) {
    const ring = ringOf(thread);
    shares(ring, EVENT_RING_EVENTS);
    shares(ring + EVENT_RING_EVENTS, EVENT_STRIDE);
    shares(ring + EVENT_RING_EVENTS + <usize>(EVENTS - 1) * EVENT_STRIDE, EVENT_STRIDE);
    changetype<EventRing>(ring).put = START;
    // Of thread 0 all places but one are full.
    changetype<EventReader>(ring + 64).taken = thread == 0 ? START - (EVENTS - 1) : START;
    connectionOf(thread).labelHigh = thread;
  }
  // Later than what is noted, so that this is taken first.
  for (let i: u32 = 0; i < EVENTS - 1; i++) {
    changetype<EventRecord>(ringOf(0) + EVENT_RING_EVENTS + <usize>i * EVENT_STRIDE).atMs = 1;
  }
}

function note(): void {
  const connection = connectionOf(self.number);
  const number = ++booksOf(self.number).noted;
  connection.mark = number;
  connection.label = number;
  noteEvent(connection, EVENT_NEW, 0);
}

/** Takes an event; false when there is none. */
function take(): bool {
  const event = nextEvent();
  if (event == null) return false;
  const copy = changetype<Connection>(changetype<usize>(event) + EVENT_CONNECTION);
  const books = booksOf(<u32>copy.labelHigh);
  assert(<u64>copy.mark == copy.label, 'an event is not whole');
  const isBlank = copy.mark == 0;
  assert(isBlank || copy.mark > books.last, 'an event is taken twice, or out of order');
  if (!isBlank) books.last = copy.mark;
  endEvent();
  store<u32>(taken(isBlank), load<u32>(taken(isBlank)) + 1);
  return true;
}

export function thread0(): void {
  note();
  note();
}

export function thread1(): void {
  note();
  note();
}

export function thread2(): void {
  take();
  take();
}

export function check(): void {
  while (take()) {}
  assert(load<u32>(taken(true)) == EVENTS - 1, 'an event is taken before it is written');
  assert(load<u32>(taken(false)) + takeLostEvents() == 4, 'an event is lost, and nobody knows');
}
