/**
 * Hashes of flow keys: NH (Black, Halevi, Krawczyk, Krovetz and Rogaway, "UMAC", 1999) over 16-bit half-words,
 * for which processors have one instruction. Each half-word of a lane of 16 bytes, salted, is multiplied by the
 * one beside it in the next lane, and the products are summed; so no product waits for another. The salts are
 * drawn from the arena's seed: what an attacker sends does not choose its bucket.
 *
 *     lane 0 × lane 1   +   lane 2 × lane 3   +   each lane of the second line × a lane of salts
 */
import { map } from '../memory/arena';
import { Key } from './key';

/** Salts, four to a lane: for a key's eight lanes, and behind those the partners of the second line's. */
export const HASH_SALTS: u32 = 48;

const LOW: u64 = 0x9e3779b97f4a7c15; // odd, of high bit density
const HIGH: u64 = 0xc2b2ae3d27d4eb4f;

/** Of each half-word of one salted lane with that of another, summed two and two. */
function products(a: v128, b: v128): v128 {
  return i32x4.dot_i16x8_s(a, b);
}

/**
 * The hash with these sums of products, by multiply and shift (Dietzfelbinger, Hagerup, Katajainen and Penttonen
 * 1997); `salt` sets subtables apart.
 */
function finish(sums: v128, salt: u32): u32 {
  const x = i64x2.extract_lane(sums, 0) * LOW + i64x2.extract_lane(sums, 1) * HIGH;
  return <u32>((x + salt * LOW) >>> 32);
}

/** Lane `lane`, from 4 on, with its partner. */
function secondLine(lane: v128, number: u32): v128 {
  const salts = map.hashSalts + ((<usize>number) << 4);
  return products(i16x8.add(lane, v128.load(salts)), v128.load(salts, 64));
}

/** The sum for the second line of a key under a mask that has something in the lanes of the bitmap. */
function sumSecondLine(key: usize, mask: usize, lanes: u32): v128 {
  let sum = i32x4.splat(0);
  for (lanes &= ~15; lanes != 0; lanes &= lanes - 1) {
    const number = ctz<u32>(lanes);
    const at = (<usize>number) << 4;
    sum = i32x4.add(sum, secondLine(v128.and(v128.load(key + at), v128.load(mask + at)), number));
  }
  return sum;
}

/**
 * Hashes `n` keys under a mask. Their numbers stand as u32 at `list`, the keys behind one another at `keys`; the
 * hashes go to `hashes`, in the order of the list. `lanes` says where the mask has anything, `salt` sets
 * subtables apart.
 */
export function hashBatch(
  keys: usize,
  list: usize,
  n: u32,
  mask: usize,
  lanes: u32,
  salt: u32,
  hashes: usize,
): void {
  const mask0 = v128.load(mask);
  const mask1 = v128.load(mask, 16);
  const mask2 = v128.load(mask, 32);
  const mask3 = v128.load(mask, 48);
  const salt0 = v128.load(map.hashSalts);
  const salt1 = v128.load(map.hashSalts, 16);
  const salt2 = v128.load(map.hashSalts, 32);
  const salt3 = v128.load(map.hashSalts, 48);
  const end = list + ((<usize>n) << 2);
  for (; list < end; list += 4) {
    const key = keys + ((<usize>load<u32>(list)) << 7);
    const a = i16x8.add(v128.and(v128.load(key), mask0), salt0);
    const b = i16x8.add(v128.and(v128.load(key, 16), mask1), salt1);
    const c = i16x8.add(v128.and(v128.load(key, 32), mask2), salt2);
    const d = i16x8.add(v128.and(v128.load(key, 48), mask3), salt3);
    let sum = i32x4.add(products(a, b), products(c, d));
    if (lanes > 15) sum = i32x4.add(sum, sumSecondLine(key, mask, lanes));
    store<u32>(hashes, finish(sum, salt));
    hashes += 4;
  }
}

/** The same for one key. */
export function hashMasked(key: Key, mask: Key, lanes: u32, salt: u32): u32 {
  const k = changetype<usize>(key);
  const m = changetype<usize>(mask);
  const salts = map.hashSalts;
  const a = i16x8.add(v128.and(v128.load(k), v128.load(m)), v128.load(salts));
  const b = i16x8.add(v128.and(v128.load(k, 16), v128.load(m, 16)), v128.load(salts, 16));
  const c = i16x8.add(v128.and(v128.load(k, 32), v128.load(m, 32)), v128.load(salts, 32));
  const d = i16x8.add(v128.and(v128.load(k, 48), v128.load(m, 48)), v128.load(salts, 48));
  const line = i32x4.add(products(a, b), products(c, d));
  return finish(i32x4.add(line, sumSecondLine(k, m, lanes)), salt);
}

/**
 * Of what all packets of a flow have in common: for the cache, which needs no more than that different keys seldom
 * meet, and for their order (order.ts). What may vary within a flow is left out: the priorities of VLAN tags (in bytes 4
 * and 30), TOS with its ECN bits (21), TTL (22), which fragment it is (23) and TCP flags (28, 29). Of the second line the
 * first lane suffices: packets that differ only in what follows, labels and neighbour discovery, may share their entry.
 */
export function hashKey(key: Key): u32 {
  return hashUnder(key, i32x4(-1, 0xff, -1, 0xff1f0000));
}

/** The same of a fragment, without the ports, which only the first has. */
export function hashFragment(key: Key): u32 {
  return hashUnder(key, i32x4(-1, 0xff, 0, 0xff1f0000));
}

/** The same with `second` of the second lane. */
function hashUnder(key: Key, second: v128): u32 {
  const k = changetype<usize>(key);
  const salts = map.hashSalts;
  const a = i16x8.add(v128.and(v128.load(k), i32x4(-1, 0xffffff1f, -1, -1)), v128.load(salts));
  const b = i16x8.add(v128.and(v128.load(k, 16), second), v128.load(salts, 16));
  const c = i16x8.add(v128.load(k, 32), v128.load(salts, 32));
  const d = i16x8.add(v128.load(k, 48), v128.load(salts, 48));
  const line = i32x4.add(products(a, b), products(c, d));
  return finish(i32x4.add(line, secondLine(v128.load(k, 64), 4)), 0);
}
