/**
 * Which handler takes a packet that needs one. Threads are numbered datapath threads first, then handlers:
 *
 *     0   1   2 │ 3   4 │ 5        datapath threads, handlers (the first is `handlerThread`), revalidators
 *
 * It is chosen by what the packet was when it came in, and stays for all its rounds (`Frame.handler`), so what
 * follows from a miss takes the same way as the miss did: however often it goes round, and whatever is translated
 * meanwhile. All packets of one direction of a connection choose the same one, so they stay in order. What may
 * differ between them is left out of the choice: TTL, TOS and its ECN bits, TCP flags, priorities of VLAN tags.
 * Fragments have no ports but for the first, and choose without; so they stay in order among themselves.
 *
 * A handler keeps what it has: it sends a packet to no other one. So only a packet's first miss, punt or further
 * round asks for a hash, and one that a flow takes to its ports never does.
 */
import { Key } from './flow/key';
import { map } from './memory/arena';
import { self } from './memory/thread';
import { Frame } from './packet/frame';

// What counts of three of the key's first eight words of 64 bits, whose bytes flow/key.ts draws.
const TAG: u64 = 0xffff_ff1f_ffff_ffff; // of bytes 0 to 7, without the priority in `vlanTci`
const PROTOCOL: u64 = 0x0000_00ff_ffff_ffff; // of 16 to 23, without `nwTos`, `nwTtl` and `nwFrag`
const INNER_TAG: u64 = 0xff1f_0000_0000_0000; // of 24 to 31: `innerTci` without its priority
const PORTS: u64 = 0x0000_0000_ffff_ffff; // of 24 to 31: `tpSrc` and `tpDst`

const ODD: u64 = 0x9e3779b97f4a7c15; // of high bit density

/** Whether this thread is a handler. */
export function isHandler(): bool {
  return self.number - map.handlerThread < map.handlerCount;
}

/** The handler for a frame whose key is `key`: this thread if it is one. */
export function handlerOf(frame: Frame, key: Key): u32 {
  if (isHandler()) return self.number;
  return frame.rounds == 0 ? chooseHandler(key) : <u32>frame.handler;
}

/** The handler for a packet that came in with `key`. */
export function chooseHandler(key: Key): u32 {
  if (map.handlerCount == 1) return map.handlerThread;
  return map.handlerThread + <u32>(((hashSteady(key) >>> 32) * map.handlerCount) >>> 32);
}

/** Of what the packets of a flow have in common; salted, so that nobody outside can tell which handler it gives. */
function hashSteady(key: Key): u64 {
  const ports = key.nwFrag == 0 ? PORTS : 0;
  let hash = mix(load<u64>(map.hashSalts), word(key, 0) & TAG);
  hash = mix(hash, word(key, 8));
  hash = mix(hash, word(key, 16) & PROTOCOL);
  hash = mix(hash, word(key, 24) & (INNER_TAG | ports));
  for (let at: usize = 32; at < 64; at += 8) hash = mix(hash, word(key, at));
  return hash;
}

function word(key: Key, at: usize): u64 {
  return load<u64>(changetype<usize>(key) + at);
}

/** A step of multiplying and folding; the high half of what comes out depends on every bit of both. */
function mix(hash: u64, word: u64): u64 {
  hash = (hash ^ word) * ODD;
  return hash ^ (hash >>> 29);
}
