/**
 * Frames for the controller: they go to a handler through the ring that carries misses, marked FRAME_PUNT.
 * The handler's TypeScript knows what their number means; it reads them out of its batch and gives them back.
 *
 *     OP_CONTROLLER ──▶ ring ──▶ takeMisses ──▶ punts of the batch ──▶ endPunt: forwarded or dropped
 */

import { truncate } from './action/truncate';
import { BATCH_PUNT_COUNT, BATCH_PUNTS, BATCH_SCRATCH, BATCH_STRIDE, batch } from './batch';
import { bringAlong } from './conntrack/state';
import { COUNT_COPIES_FORWARDED, COUNT_FORWARDED, count } from './counters';
import { DROP_CONTROLLER_QUEUE_FULL, PARSED } from './drop';
import { Key } from './flow/key';
import { strandIn } from './handlers';
import { map, NONE } from './memory/arena';
import { CHECKSUM_PARTIAL, FRAME_COPY, FRAME_PUNT, frameAt, giveFrame } from './packet/frame';
import { parse } from './packet/parse';
import { completeChecksum } from './packet/transport-checksum';
import { passToHandler } from './share';
import { drop } from './transmit';

/** Sends a frame whose key is `key`, at most `bytes` of it, to its handler as `index`. */
export function punt(number: u32, index: u32, bytes: u32, key: Key): void {
  const frame = frameAt(number);
  if (frame.checksum == CHECKSUM_PARTIAL) completeChecksum(frame);
  const strand = strandIn(frame, key);
  frame.flags |= FRAME_PUNT;
  frame.punt = index;
  frame.puntLength = frame.length;
  truncate(frame, bytes);
  if (!passToHandler(number, strand)) drop(number, DROP_CONTROLLER_QUEUE_FULL);
}

/** How many punts this thread's batch has, those that are gone counted. */
export function puntCount(): u32 {
  return load<u32>(batch() + BATCH_PUNT_COUNT);
}

function puntPlace(i: u32): usize {
  return batch() + BATCH_PUNTS + ((<usize>i) << 2);
}

/** Adds a frame to the punts of this thread's batch. */
export function addPunt(number: u32): void {
  const n = puntCount();
  store<u32>(puntPlace(n), number);
  store<u32>(batch() + BATCH_PUNT_COUNT, n + 1);
}

/**
 * The handler is done with punt `i` of its batch, which is then gone: `delivered` to a controller, or dropped
 * because none takes it now.
 */
export function endPunt(i: u32, delivered: bool): void {
  const number = load<u32>(puntPlace(i));
  store<u32>(puntPlace(i), NONE);
  if (!delivered) return drop(number, DROP_CONTROLLER_QUEUE_FULL);
  const frame = frameAt(number);
  count(frame.flags & FRAME_COPY ? COUNT_COPIES_FORWARDED : COUNT_FORWARDED, 1);
  giveFrame(number);
}

/** Frame number of punt `i` of another thread's batch, or NONE; for whoever looks while it stands still. */
export function puntOf(thread: u32, i: u32): u32 {
  const at = map.batches + <usize>(thread * BATCH_STRIDE);
  if (i >= load<u32>(at + BATCH_PUNT_COUNT)) return NONE;
  return load<u32>(at + BATCH_PUNTS + ((<usize>i) << 2));
}

/** Forgets the punts of this thread's batch. */
export function forgetPunts(): void {
  store<u32>(batch() + BATCH_PUNT_COUNT, 0);
}

/**
 * Parses punt `i`, which is still there, into the first key of this thread's scratch, with what tracking has told of
 * it; false when it is malformed.
 */
export function parsePunt(i: u32): bool {
  const frame = frameAt(load<u32>(puntPlace(i)));
  const key = changetype<Key>(batch() + BATCH_SCRATCH);
  if (parse(frame, key) != PARSED) return false;
  bringAlong(frame, key);
  return true;
}

/** Drops the punts that nobody has ended, and forgets all. */
export function endPunts(): void {
  const n = puntCount();
  for (let i: u32 = 0; i < n; i++) if (load<u32>(puntPlace(i)) != NONE) endPunt(i, false);
  forgetPunts();
}
