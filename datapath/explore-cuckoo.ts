/** What scenarios of the cuckoo map share: a small map in scratch memory, its lock before it. */
import { changes, scratch, shares } from './explore';
import { CUCKOO_BUCKET, CUCKOO_BUCKETS, CuckooMap, firstOf, format, secondOf } from './memory/cuckoo';

export function lock(): usize {
  return scratch();
}

export function map(): CuckooMap {
  return changetype<CuckooMap>(scratch() + 128);
}

/** Makes the map one of `buckets` buckets, each access to which is a step. */
export function makeMap(buckets: u32): void {
  const m = changetype<usize>(map());
  shares(m + CUCKOO_BUCKETS, <usize>(buckets * CUCKOO_BUCKET));
  changes(m, CUCKOO_BUCKETS);
  format(map(), buckets);
}

/** A hash whose buckets are these; `which` tells several apart. */
export function hashOf(first: u32, second: u32, which: u32): u32 {
  let hash: u32 = which << 16;
  while (firstOf(map(), hash) != first || secondOf(map(), hash) != second) hash++;
  return hash;
}
