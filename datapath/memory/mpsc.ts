/**
 * Multi-producer, single-consumer queue of record numbers, linked through the records themselves.
 *
 *     line 0   last ──────────────────────────────┐           producers swap it
 *                                                 ▼
 *              [ 7 │ next ]──▶ [ 3 │ next ]──▶ [ 9 │ 0 ]        links, in the records
 *               ▲
 *     line 1   first                                           the consumer's; and a stub, for when it is empty
 *
 * Why linked: a number is in the queue at most once at a time, so as many links as records are always enough,
 * and a push cannot find the queue full. (A ring of slots would need an answer for that.) A push is one swap
 * and one store, whatever others do. The link is a u32 in each record, which is the queue's while the record
 * is in it and until it is taken out (Vyukov, "Intrusive MPSC node-based queue").
 *
 * A producer first swaps itself in as `last`, then links its predecessor to itself. Between the two the
 * consumer sees an end where there is none, and says that there is nothing yet; it looks again when that
 * producer rings it, which is after the push. No loop and no call stands between, so a thread that is stopped
 * is not stopped there.
 *
 * `last` and the links: written atomically by producers, the last link also by the consumer when it puts the
 * stub behind it. `first`: the consumer's alone. Order: that of the swaps; of one producer, that of its pushes.
 */
import { NONE } from './arena';

@unmanaged
export class MpscQueue {
  last: u32; // the newest: an id
  pad4: u32;
  links: usize; // address of record 0's link. This and stride: written once, by `format`
  stride: u32; // from one link to the next
  pad20: u32;
  pad24: u64;
  pad32: u64;
  pad40: u64;
  pad48: u64;
  pad56: u64;
  first: u32; // the id that the consumer takes next, or the stub
  stubNext: u32; // the stub's link
}

export const MPSC_STRIDE: u32 = 128;

// What a link names: nothing, the stub, or a number + 2.
const NOTHING: u32 = 0;
export const MPSC_STUB: u32 = 1; // also what both ends of an empty queue are
const FIRST_ID: u32 = 2;

/** Makes an empty queue of records whose links are `stride` bytes apart, record 0's at `links`. */
export function format(queue: MpscQueue, links: usize, stride: u32): void {
  queue.last = MPSC_STUB;
  queue.first = MPSC_STUB;
  queue.stubNext = NOTHING;
  queue.links = links;
  queue.stride = stride;
}

function linkOf(queue: MpscQueue, id: u32): usize {
  if (id == MPSC_STUB) return changetype<usize>(queue) + offsetof<MpscQueue>('stubNext');
  return queue.links + <usize>((id - FIRST_ID) * queue.stride);
}

function pushId(queue: MpscQueue, id: u32): void {
  atomic.store<u32>(linkOf(queue, id), NOTHING);
  const before = atomic.xchg<u32>(changetype<usize>(queue) + offsetof<MpscQueue>('last'), id);
  atomic.store<u32>(linkOf(queue, before), id);
}

/**
 * Puts `number`, which is not in the queue, at its end. Any thread; what that wrote to the record before, the
 * consumer sees.
 */
export function push(queue: MpscQueue, number: u32): void {
  pushId(queue, number + FIRST_ID);
}

/** Takes the oldest number; NONE when there is none, or the next is being pushed. Consumer only. */
export function pop(queue: MpscQueue): u32 {
  let id = queue.first;
  let next = atomic.load<u32>(linkOf(queue, id));
  if (id == MPSC_STUB) {
    if (next == NOTHING) return NONE;
    queue.first = next;
    id = next;
    next = atomic.load<u32>(linkOf(queue, id));
  }
  if (next == NOTHING) {
    // It looks like the last. If it is, the stub goes behind it, so that its link is free with it.
    if (atomic.load<u32>(changetype<usize>(queue) + offsetof<MpscQueue>('last')) != id) return NONE;
    pushId(queue, MPSC_STUB);
    next = atomic.load<u32>(linkOf(queue, id));
    if (next == NOTHING) return NONE;
  }
  queue.first = next;
  return id - FIRST_ID;
}

/** Whether there is nothing to take. Consumer only. */
export function isEmpty(queue: MpscQueue): bool {
  return queue.first == MPSC_STUB && atomic.load<u32>(linkOf(queue, MPSC_STUB)) == NOTHING;
}
