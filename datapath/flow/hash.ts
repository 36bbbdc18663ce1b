/**
 * Hashes of flow keys: multiply and xor over 64-bit words in two lanes, salted, so that what an attacker
 * sends does not choose its bucket.
 */
import { map } from '../memory/arena';
import { KEY_SIZE, Key } from './key';

const A: u64 = 0x9e3779b97f4a7c15; // odd constants of high bit density
const B: u64 = 0xc2b2ae3d27d4eb4f;

/** Key bytes 22 (TTL) and 28..29 (TCP flags) vary within a flow and would scatter it over the cache. */
const STEADY_16: u64 = 0xff00ffffffffffff;
const STEADY_24: u64 = 0xffff0000ffffffff;

function mix(lane: u64, word: u64, k: u64): u64 {
  const x = (lane ^ word) * k;
  return x ^ (x >>> 32);
}

function finish(a: u64, b: u64): u32 {
  const x = (a ^ rotl<u64>(b, 23)) * A;
  return <u32>(x >>> 32);
}

/** Whether a line is all zeros, as the second line of most keys and masks is. */
function isZero(line: usize): bool {
  const low = v128.or(v128.load(line), v128.load(line, 16));
  const high = v128.or(v128.load(line, 32), v128.load(line, 48));
  return !v128.any_true(v128.or(low, high));
}

/** Of the whole key but TTL and TCP flags. */
export function hashKey(key: Key): u32 {
  const k = changetype<usize>(key);
  let a: u64 = <u64>map.hashSeed;
  let b: u64 = a ^ B;
  a = mix(a, load<u64>(k), A);
  b = mix(b, load<u64>(k, 8), B);
  a = mix(a, load<u64>(k, 16) & STEADY_16, A);
  b = mix(b, load<u64>(k, 24) & STEADY_24, B);
  a = mix(a, load<u64>(k, 32), A);
  b = mix(b, load<u64>(k, 40), B);
  a = mix(a, load<u64>(k, 48), A);
  b = mix(b, load<u64>(k, 56), B);
  if (!isZero(k + 64)) {
    for (let i: usize = 64; i < KEY_SIZE; i += 16) {
      a = mix(a, load<u64>(k + i), A);
      b = mix(b, load<u64>(k + i, 8), B);
    }
  }
  return finish(a, b);
}

/** Of the key under a mask; `salt` sets subtables apart. */
export function hashMasked(key: Key, mask: Key, salt: u32): u32 {
  const k = changetype<usize>(key);
  const m = changetype<usize>(mask);
  let a: u64 = <u64>map.hashSeed ^ ((<u64>salt) << 32);
  let b: u64 = a ^ B;
  a = mix(a, load<u64>(k) & load<u64>(m), A);
  b = mix(b, load<u64>(k, 8) & load<u64>(m, 8), B);
  a = mix(a, load<u64>(k, 16) & load<u64>(m, 16), A);
  b = mix(b, load<u64>(k, 24) & load<u64>(m, 24), B);
  a = mix(a, load<u64>(k, 32) & load<u64>(m, 32), A);
  b = mix(b, load<u64>(k, 40) & load<u64>(m, 40), B);
  a = mix(a, load<u64>(k, 48) & load<u64>(m, 48), A);
  b = mix(b, load<u64>(k, 56) & load<u64>(m, 56), B);
  if (!isZero(m + 64)) {
    for (let i: usize = 64; i < KEY_SIZE; i += 16) {
      a = mix(a, load<u64>(k + i) & load<u64>(m + i), A);
      b = mix(b, load<u64>(k + i, 8) & load<u64>(m + i, 8), B);
    }
  }
  return finish(a, b);
}
