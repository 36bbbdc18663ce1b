/**
 * What happens to connections, for people who watch: each thread has a ring, which the handler drains.
 *
 *     thread 0  │ put, lost │ taken, told │ event │ event │ … EVENTS
 *     thread 1  │ put, lost │ taken, told │ event │ event │ …
 *                 writes ▲    handler ▲
 *
 * An event is a time, what happened, why, and a copy of the connection's record. While nobody watches
 * (`eventsWanted`) nothing is noted, and that costs a load. A ring that is full loses what comes, and counts it.
 *
 * Line 0 and the events: written by their thread alone. An event is whole when `put` is beyond it. Line 1: by the
 * handler. `put` and `taken` never fall; they differ by EVENTS at most. A thread that dies half-way through an
 * event leaves `put` as it was, and its successor writes over it.
 */
import { ArenaMap, map } from '../memory/arena';
import { ring as ringDoorbell } from '../memory/doorbell';
import { self } from '../memory/thread';
import { CONNECTION_STRIDE, Connection } from './connection';

/** EVENT_CONNECTION on: the record as it was. */
@unmanaged
export class EventRecord {
  atMs: f64; // by the switch clock
  kind: u32;
  reason: u32; // of EVENT_DESTROY: REMOVED_… (table.ts); else 0
}

export const EVENT_NEW: u32 = 1;
export const EVENT_UPDATE: u32 = 2; // of mark, label or state
export const EVENT_DESTROY: u32 = 3;

/** Line 0 of a ring. */
@unmanaged
export class EventRing {
  put: u32; // events ever noted
  lost: u32; // events ever that found it full
}

/** Line 1. */
@unmanaged
export class EventReader {
  taken: u32; // events ever taken
  told: u32; // of those lost, how many are known to be
}

/** A power of two. */
export const EVENTS: u32 = 1024;
export const EVENT_CONNECTION: usize = 16;
export const EVENT_STRIDE: u32 = 16 + CONNECTION_STRIDE;
export const EVENT_RING_EVENTS: usize = 128;
export const EVENT_RING_STRIDE: u32 = 128 + EVENTS * EVENT_STRIDE;

function ringOf(thread: u32): EventRing {
  return changetype<EventRing>(map.eventRings + <usize>thread * EVENT_RING_STRIDE);
}

function readerOf(ring: EventRing): EventReader {
  return changetype<EventReader>(changetype<usize>(ring) + 64);
}

function eventIn(ring: EventRing, count: u32): EventRecord {
  const at = <usize>(count & (EVENTS - 1)) * EVENT_STRIDE;
  return changetype<EventRecord>(changetype<usize>(ring) + EVENT_RING_EVENTS + at);
}

function putOf(ring: EventRing): u32 {
  return atomic.load<u32>(changetype<usize>(ring) + offsetof<EventRing>('put'));
}

function lostOf(ring: EventRing): u32 {
  return atomic.load<u32>(changetype<usize>(ring) + offsetof<EventRing>('lost'));
}

function takenOf(reader: EventReader): u32 {
  return atomic.load<u32>(changetype<usize>(reader) + offsetof<EventReader>('taken'));
}

function setTaken(reader: EventReader, taken: u32): void {
  atomic.store<u32>(changetype<usize>(reader) + offsetof<EventReader>('taken'), taken);
}

/** Address of the word that says whether anybody watches. */
function wanted(): usize {
  return changetype<usize>(map) + offsetof<ArenaMap>('eventsWanted');
}

/** Notes what happens to a connection. By whoever holds its lock, has not published it yet, or has removed it. */
export function noteEvent(connection: Connection, kind: u32, reason: u32): void {
  if (atomic.load<u32>(wanted()) != 0) put(connection, kind, reason);
}

function put(connection: Connection, kind: u32, reason: u32): void {
  const ring = ringOf(self.number);
  const waiting = ring.put - takenOf(readerOf(ring));
  if (waiting == EVENTS) {
    atomic.store<u32>(changetype<usize>(ring) + offsetof<EventRing>('lost'), ring.lost + 1);
    return;
  }
  const event = eventIn(ring, ring.put);
  event.atMs = self.nowMs;
  event.kind = kind;
  event.reason = reason;
  memory.copy(changetype<usize>(event) + EVENT_CONNECTION, changetype<usize>(connection), CONNECTION_STRIDE);
  atomic.store<u32>(changetype<usize>(ring) + offsetof<EventRing>('put'), ring.put + 1);
  // The handler comes by when somebody asks what has happened; a ring that fills meanwhile does not wait for that.
  if (waiting + 1 == EVENTS / 2) ringDoorbell(map.handlerThread);
}

// What follows is for the handler.

/** The ring that `nextEvent` found an event in. */
let current: EventRing = changetype<EventRing>(0);

/** Whether events are noted from now on. Those from before that nobody has taken are forgotten. */
export function watchEvents(watch: bool): void {
  for (let thread: u32 = 0; thread < map.threadCount; thread++) {
    setTaken(readerOf(ringOf(thread)), putOf(ringOf(thread)));
  }
  takeLostEvents();
  atomic.store<u32>(wanted(), watch ? 1 : 0);
}

/** Of the events that wait in all rings, the one that happened first, until `endEvent`; null: none waits. */
export function nextEvent(): EventRecord | null {
  let first: EventRecord | null = null;
  for (let thread: u32 = 0; thread < map.threadCount; thread++) {
    const ring = ringOf(thread);
    const taken = readerOf(ring).taken;
    if (taken == putOf(ring)) continue;
    const event = eventIn(ring, taken);
    if (first != null && first.atMs <= event.atMs) continue;
    first = event;
    current = ring;
  }
  return first;
}

/** The event that `nextEvent` found is done with: its place may be used again. */
export function endEvent(): void {
  const reader = readerOf(current);
  setTaken(reader, reader.taken + 1);
}

/** How many events were lost since this was last asked. */
export function takeLostEvents(): u32 {
  let lost: u32 = 0;
  for (let thread: u32 = 0; thread < map.threadCount; thread++) {
    const ring = ringOf(thread);
    const reader = readerOf(ring);
    const now = lostOf(ring);
    lost += now - reader.told;
    reader.told = now;
  }
  return lost;
}
