/**
 * Single-producer, single-consumer ring of 32-bit values: one for each ordered pair of threads. The ring from a
 * thread to itself carries the frames that go round (recirculate.ts). One more has what waits for its turn (order.ts).
 *
 *     ┌ line 0 ───────────────────┐┌ line 1 ───────────────────┐┌ slots ────────────────┐
 *     │ head, tailSeen, next      ││ tail, headSeen            ││ RING_SLOTS × u32      │
 *     └───────────────────────────┘└───────────────────────────┘└───────────────────────┘
 *
 * `head` counts what was ever put, `tail` what was ever taken, `next` also what was put and not published yet; all wrap.
 * The producer alone writes line 0, the consumer alone line 1, and each keeps its last sight of the other's count, so that it touches the
 * other's line only when that sight says full or empty (MCRingBuffer, Lee, Bu and Chandranmenon 2010).
 * A put stores the slot first and `head` after it, atomically; so what `head` covers is readable. A get
 * stores `tail` atomically after it has read the slot; so what `tail` covers is free.
 */
import { map } from './arena';

@unmanaged
export class Ring {
  head: u32;
  tailSeen: u32;
  next: u32;
}

@unmanaged
class RingConsumer {
  tail: u32;
  headSeen: u32;
}

export const RING_SLOTS: u32 = 1024;
export const RING_STRIDE: u32 = 4224; // two lines and the slots
export const RING_CONSUMER: usize = 64; // where line 1 is
const SLOTS: usize = 128;

/** The ring through which `from` sends to `to`. */
export function ringBetween(from: u32, to: u32): Ring {
  return changetype<Ring>(map.rings + <usize>((from * map.threadCount + to) * RING_STRIDE));
}

function consumer(ring: Ring): RingConsumer {
  return changetype<RingConsumer>(changetype<usize>(ring) + RING_CONSUMER);
}

/** Puts one value; false when the ring is full. Producer only. */
export function put(ring: Ring, value: u32): bool {
  if (!stage(ring, value)) return false;
  publish(ring);
  return true;
}

/** Puts one value that the consumer is not to see until `publish`; false when the ring is full. Producer only. */
export function stage(ring: Ring, value: u32): bool {
  const next = ring.next;
  if (next - ring.tailSeen == RING_SLOTS) {
    ring.tailSeen = atomic.load<u32>(changetype<usize>(ring) + RING_CONSUMER);
    if (next - ring.tailSeen == RING_SLOTS) return false;
  }
  store<u32>(changetype<usize>(ring) + SLOTS + ((<usize>(next & (RING_SLOTS - 1))) << 2), value);
  ring.next = next + 1;
  return true;
}

/** Lets the consumer see all that was put. Producer only. */
export function publish(ring: Ring): void {
  atomic.store<u32>(changetype<usize>(ring), ring.next);
}

/** How many places are free. Producer only. */
export function free(ring: Ring): u32 {
  ring.tailSeen = atomic.load<u32>(changetype<usize>(ring) + RING_CONSUMER);
  return RING_SLOTS - (ring.next - ring.tailSeen);
}

/** How many values were ever put, unpublished ones too. Producer only. */
export function everPut(ring: Ring): u32 {
  return ring.next;
}

/** How many values were ever taken. Consumer only. */
export function everGot(ring: Ring): u32 {
  return consumer(ring).tail;
}

/** How many values are there to take. Consumer only. */
export function available(ring: Ring): u32 {
  const c = consumer(ring);
  if (c.headSeen == c.tail) c.headSeen = atomic.load<u32>(changetype<usize>(ring));
  return c.headSeen - c.tail;
}

/** The same as of now: also those are among them that came since the last look. Consumer only. */
export function arrived(ring: Ring): u32 {
  const c = consumer(ring);
  c.headSeen = atomic.load<u32>(changetype<usize>(ring));
  return c.headSeen - c.tail;
}

/** How many of those that the last look of `arrived` or `available` showed are left. Consumer only. */
export function left(ring: Ring): u32 {
  return consumer(ring).headSeen - consumer(ring).tail;
}

/** How many values were ever published; for any thread, to which it may be old news, as the next two. */
export function published(ring: Ring): u32 {
  return atomic.load<u32>(changetype<usize>(ring));
}

/** How many of them were ever taken. */
export function taken(ring: Ring): u32 {
  return atomic.load<u32>(changetype<usize>(ring) + RING_CONSUMER);
}

/** Whether nothing is in the ring. */
export function isEmpty(ring: Ring): bool {
  return published(ring) == taken(ring);
}

/** How many values are in the ring, unpublished ones too; for whoever looks while both sides stand still. */
export function waiting(ring: Ring): u32 {
  return ring.next - consumer(ring).tail;
}

/** The value behind the `i` oldest ones; likewise. */
export function peek(ring: Ring, i: u32): u32 {
  const at = (consumer(ring).tail + i) & (RING_SLOTS - 1);
  return load<u32>(changetype<usize>(ring) + SLOTS + ((<usize>at) << 2));
}

/** Forgets what is in the ring, of which this thread is both sides. */
export function clear(ring: Ring): void {
  publish(ring);
  consumer(ring).headSeen = ring.head;
  ring.tailSeen = ring.head;
  atomic.store<u32>(changetype<usize>(consumer(ring)), ring.head);
}

/** Takes the oldest value. Consumer only, and only when `available` said that there is one. */
export function get(ring: Ring): u32 {
  const c = consumer(ring);
  const value = load<u32>(changetype<usize>(ring) + SLOTS + ((<usize>(c.tail & (RING_SLOTS - 1))) << 2));
  atomic.store<u32>(changetype<usize>(c), c.tail + 1);
  return value;
}
