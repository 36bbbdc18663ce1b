/**
 * Which handler takes a packet that needs one. Threads are numbered datapath threads first, then handlers:
 *
 *     0   1   2 │ 3   4 │ 5        datapath threads, handlers (the first is `handlerThread`), revalidators
 *
 * It follows from the packet's strand (order.ts), which is what it was when it came in, and stays for all its rounds
 * (`Frame.strand`): so what follows from a miss takes the same way as the miss did, however often it goes round and
 * whatever is translated meanwhile.
 *
 * A handler keeps what it has: it sends a packet to no other one. So only a packet's first miss, punt or further
 * round asks for a hash, and one that a flow takes to its ports never does.
 */
import { hashFragment, hashKey } from './flow/hash';
import { Key } from './flow/key';
import { map } from './memory/arena';
import { self } from './memory/thread';
import { Frame } from './packet/frame';

/** Strands are numbered below this. */
export const STRANDS: u32 = 65536;

/** The number behind the last handler's. */
export function handlersEnd(): u32 {
  return map.handlerThread + map.handlerCount;
}

/** Whether this thread is a handler. */
export function isHandler(): bool {
  return self.number - map.handlerThread < map.handlerCount;
}

/** The strand of a packet that came in with `key`. */
export function strandOf(key: Key): u32 {
  return (key.nwFrag == 0 ? hashKey(key) : hashFragment(key)) >>> 16;
}

/** The strand of a frame whose key is `key`. */
export function strandIn(frame: Frame, key: Key): u32 {
  return frame.rounds == 0 ? strandOf(key) : <u32>frame.strand;
}

/** The handler for a strand: this thread if it is one. */
export function handlerFor(strand: u32): u32 {
  return isHandler() ? self.number : chooseHandler(strand);
}

/** The handler for a strand when it comes from a datapath thread. */
export function chooseHandler(strand: u32): u32 {
  return map.handlerThread + ((strand * map.handlerCount) >>> 16);
}
