/**
 * The table of datagrams: two threads bring the two fragments of one, a third brings one of them again, and a fourth, whose
 * clock is ahead, sweeps. Every frame is given back once.
 */

import { familyAt } from '../conntrack/datagrams';
import { fragmentAt } from '../conntrack/fragment';
import { dropAllFragments, sweepFragments } from '../conntrack/fragment-expiry';
import { FRAGMENT_GONE, holdFragment } from '../conntrack/hold';
import { changes, scratch, shares } from '../explore';
import { prepare } from '../explore-connections';
import { map } from '../memory/arena';
import { POOL_CACHE_STRIDE, POOL_FRAMES, POOL_STRIDE, POOLS, Pool } from '../memory/pool';
import { self, threadAt } from '../memory/thread';
import { fold, sum } from '../packet/checksum';
import { frameAt, giveFrame, HELD_BY_THREAD, hold, NETWORK_IPV4, takeFrame } from '../packet/frame';
import { IPV4_HEADER, IPV4_MORE_FRAGMENTS, putBe16 } from '../packet/headers';

const BYTES: u32 = 8; // of a fragment

export function setUp(): void {
  prepare();
  shares(map.datagramTable, map.datagrams - map.datagramTable);
  changes(map.batches, map.counters - map.batches);
  changes(map.frameRecords, map.stages - map.frameRecords);
  changes(map.datagrams, map.queues - map.datagrams);
  familyAt(0).leastBytes = 0;
  threadAt(3).nowMs = 20000;
  store<u32>(scratch(), freeFrames());
  write(0, 0, true);
  write(1, BYTES, false);
  write(2, 0, true);
}

/** Makes frame `i` of the scenario a fragment of its datagram. */
function write(i: u32, start: u32, more: bool): void {
  const number = takeFrame(IPV4_HEADER + BYTES);
  store<u32>(scratch() + 4 + ((<usize>i) << 2), number);
  const frame = frameAt(number);
  frame.network = NETWORK_IPV4;
  frame.length = IPV4_HEADER + BYTES;
  const ip = frame.data;
  memory.fill(ip, 0, frame.length);
  store<u8>(ip, 0x45);
  putBe16(ip + 2, frame.length);
  putBe16(ip + 6, (start >>> 3) | (more ? IPV4_MORE_FRAGMENTS : 0));
  store<u16>(ip, <u16>(fold(sum(ip, IPV4_HEADER)) ^ 0xffff), 10);
}

/** Frames that nobody has. */
function freeFrames(): u32 {
  let free = changetype<Pool>(map.pools + <usize>(POOL_FRAMES * POOL_STRIDE)).free;
  for (let thread: u32 = 0; thread < map.threadCount; thread++) {
    free += load<u32>(map.poolCaches + <usize>((thread * POOLS + POOL_FRAMES) * POOL_CACHE_STRIDE));
  }
  return free;
}

/** Holds frame `i`, and gives back what goes on because of it: two fragments, or none. */
function bring(i: u32): void {
  const number = load<u32>(scratch() + 4 + ((<usize>i) << 2));
  hold(frameAt(number));
  const first = holdFragment(number, 0);
  if (first == FRAGMENT_GONE) return;
  let n: u32 = 0;
  for (let at = first + 1; at != 0; n++) {
    const next = fragmentAt(at - 1).next;
    assert(<u32>frameAt(at - 1).holder == HELD_BY_THREAD + self.number, 'it is not this thread’s');
    giveFrame(at - 1);
    at = next;
  }
  assert(n == 2, 'a datagram of other than two fragments');
}

export function thread0(): void {
  bring(0);
}

export function thread1(): void {
  bring(1);
}

export function thread2(): void {
  bring(2);
}

export function thread3(): void {
  sweepFragments();
}

export function check(): void {
  dropAllFragments();
  assert(familyAt(0).held == 0, 'fragments that are held by no datagram');
  assert(freeFrames() == load<u32>(scratch()), 'a frame is lost, or was given back twice');
}
