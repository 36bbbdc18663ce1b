/**
 * Exact-match cache: each thread's own memory of which flow the packets of one key took.
 *
 *     hash of the key ──▶ two slots ──▶ [ hash | flow number + 1 ] ──▶ flow: live, and takes the key?
 *
 * The cache holds no keys. What it remembers is checked against the flow itself, which answers exactly
 * whether it takes this key, so entries need no invalidation: one that names a removed or reused flow
 * fails the check, or passes it because the flow there now is right. Eight bytes an entry keep the whole
 * cache in the processor's second level; packets of one connection share an entry whatever their flags.
 * A hit reads, beside its entry and the key, a line of the flow and one of its subtable.
 */
import { map } from '../memory/arena';
import { self } from '../memory/thread';
import { Flow, flowAt, flowNumber, isLive } from './flow';
import { Key } from './key';
import { takes } from './subtable';

export const CACHE_ENTRIES: u32 = 16384;

function slotAt(i: u32): usize {
  return map.caches + <usize>((self.number * CACHE_ENTRIES + (i & (CACHE_ENTRIES - 1))) << 3);
}

/** The flow that the cache remembers for `key`, if it is one; else null. */
export function cached(key: Key, hash: u32): Flow | null {
  const flow = inSlot(slotAt(hash), key, hash);
  return flow ? flow : inSlot(slotAt(hash >>> 14), key, hash);
}

function inSlot(slot: usize, key: Key, hash: u32): Flow | null {
  const entry = load<u64>(slot);
  if (<u32>entry != hash || entry >>> 32 == 0) return null;
  const flow = flowAt(<u32>(entry >>> 32) - 1);
  return isLive(flow) && takes(flow, key) ? flow : null;
}

/** Remembers that `key` took `flow`: in the first slot, moving what was there to its own second one. */
export function remember(hash: u32, flow: Flow): void {
  const first = slotAt(hash);
  const old = load<u64>(first);
  if (old != 0 && <u32>old != hash) store<u64>(slotAt(<u32>old >>> 14), old);
  store<u64>(first, ((<u64>flowNumber(flow) + 1) << 32) | <u64>hash);
}
