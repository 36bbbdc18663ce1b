/** Epochs: a record is unlinked, and written over two epochs later, while another thread looks at it. */
import { changes, scratch, shares } from '../explore';
import { ARENA_MAP, ArenaMap, map } from '../memory/arena';
import { advance, currentEpoch, enter, leave } from '../memory/epoch';
import { THREAD_STRIDE } from '../memory/thread';

const LIVE: u32 = 7;
const REUSED: u32 = 8;

/** Where readers find the record, or 0; and the record. */
function shown(): usize {
  return scratch();
}
function record(): usize {
  return scratch() + 64;
}

export function setUp(): void {
  shares(scratch(), 128);
  changes(ARENA_MAP, offsetof<ArenaMap>());
  changes(map.threads, 4 * THREAD_STRIDE);
  store<u32>(shown(), <u32>record());
  store<u32>(record(), LIVE);
}

function batch(): void {
  enter();
  const found = atomic.load<u32>(shown());
  if (found != 0) {
    assert(load<u32>(found) == LIVE, 'a record was reused while it could be seen');
    assert(load<u32>(found) == LIVE, 'a record was reused while somebody looked at it');
  }
}

export function thread0(): void {
  batch();
  batch();
  leave();
}

export function thread1(): void {
  batch();
  leave();
}

export function thread2(): void {
  atomic.store<u32>(shown(), 0);
  const retired = currentEpoch();
  for (let i = 0; i < 3; i++) advance();
  if (currentEpoch() - retired >= 2) store<u32>(record(), REUSED);
}

/** Another that reclaims. */
export function thread3(): void {
  advance();
}
