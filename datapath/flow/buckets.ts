/**
 * The hash table of all flows: buckets of fifteen slots and a chain, and for each slot a tag of its flow's hash.
 *
 *     tags     [ 15 × u16, free ][ 15 × u16, free ] …      half a line a bucket
 *     slots    [ 15 × u32, chain ][ 15 × u32, chain ] …    a line a bucket; flow number + 1, 0 none
 *
 * A look-up under a mask that has no flow for the packet, and most are, reads the tags alone: four bytes a flow,
 * which stay in the processor's second level where neither slots nor flow records would. All sixteen are
 * compared at once; one look-up in four thousand meets a tag of another flow.
 *
 * A flow goes into a slot of its bucket that is free and never moves. When none is, it goes to the head of the
 * bucket's chain (`Flow.next`), which stands in the place of a sixteenth slot and has no tag, for it would
 * send every look-up in that bucket to the chain. So tags do not find those flows, one in six hundred of a full
 * table: who finds no flow by tags looks again, chains and all, unless `map.chainedFlows` says that there are none.
 *
 * Written under the classifier's lock: first the word that leads to a flow or past it, then the slot's tag,
 * each with one atomic store. Readers take no lock. They load tags as they are, sixteen bytes at a time: a
 * tag, being aligned, is never torn, and an old one does no harm. For a tag lets nothing through but a look
 * at the slot, which is loaded atomically and whose flow is compared with the key; and a flow that stays
 * is found whatever happens beside it, since its slot's tag is its own, or its chain leads to it and it is counted.
 */
import { ArenaMap, map } from '../memory/arena';
import { Flow, flowAt, flowNumber } from './flow';

/** Words of a bucket that lead to flows: its slots and, as the last, its chain. */
export const BUCKET_SLOTS: u32 = 16;
export const BUCKET_TAGS_SIZE: u32 = 32;
export const BUCKET_SLOTS_SIZE: u32 = 64;

/** There are so many buckets that one has no more flows than this on average. */
export const BUCKET_FLOWS: u32 = 8;

const TAG_FREE: u32 = 0;
const CHAIN: u32 = 15; // in the place of the last slot; its tag is always TAG_FREE

/** From 1 to 0x8000, of the low bits: the high ones choose the bucket. */
export function tagOf(hash: u32): u32 {
  return (hash & 0x7fff) + 1;
}

/** Which of `buckets` buckets a hash belongs to. */
export function bucketOf(hash: u32, buckets: u32): u32 {
  return <u32>((<u64>hash * <u64>buckets) >>> 32);
}

/** Address of the tags of `bucket`. */
export function tagsAt(bucket: u32): usize {
  return map.bucketTags + <usize>bucket * BUCKET_TAGS_SIZE;
}

/** Address of a slot. */
export function slotAt(bucket: u32, slot: u32): usize {
  return map.bucketSlots + <usize>bucket * BUCKET_SLOTS_SIZE + ((<usize>slot) << 2);
}

/** The slots, bit by number, in which a flow with this tag may be. `tags` as from `tagsAt`. */
export function candidates(tags: usize, tag: u32): u32 {
  const wanted = i16x8.splat(<i16>tag);
  const low = i16x8.eq(v128.load(tags), wanted);
  const high = i16x8.eq(v128.load(tags, 16), wanted);
  return i8x16.bitmask(i8x16.narrow_i16x8_s(low, high));
}

/** The first flow of a bucket's chain; number + 1, 0 none. Atomically: another thread may be changing it. */
export function chainOf(bucket: u32): u32 {
  return atomic.load<u32>(slotAt(bucket, CHAIN));
}

/** Whether tags alone do not find every flow. */
export function hasChains(): bool {
  return atomic.load<u32>(changetype<usize>(map) + offsetof<ArenaMap>('chainedFlows')) != 0;
}

function countChained(change: i32): void {
  atomic.store<u32>(changetype<usize>(map) + offsetof<ArenaMap>('chainedFlows'), map.chainedFlows + change);
}

/** Shows `flow`, which is complete, to the readers. Under the lock. */
export function show(flow: Flow): void {
  const bucket = bucketOf(flow.hash, map.bucketCount);
  const slot = ctz<u32>(candidates(tagsAt(bucket), TAG_FREE));
  if (slot == CHAIN) countChained(1);
  flow.next = load<u32>(slotAt(bucket, slot));
  atomic.store<u32>(slotAt(bucket, slot), flowNumber(flow) + 1);
  if (slot != CHAIN) setTag(bucket, slot);
}

/** Leads the readers past `flow`. Under the lock. */
export function hide(flow: Flow): void {
  const bucket = bucketOf(flow.hash, map.bucketCount);
  const place = placeOf(flow);
  atomic.store<u32>(place, flow.next);
  const slot = <u32>(place - slotAt(bucket, 0)) >>> 2;
  if (slot < CHAIN) setTag(bucket, slot);
  else countChained(-1); // the place is the chain's head, or in a record
}

/** Leads the readers to `heir`, of the same hash, where they found `flow`: to one of the two at any time. */
export function supersede(flow: Flow, heir: Flow): void {
  heir.next = flow.next;
  atomic.store<u32>(placeOf(flow), flowNumber(heir) + 1);
}

/** The first flow of a slot, for whoever goes over all flows; number + 1, 0 none. */
export function firstIn(bucket: u32, slot: u32): u32 {
  return load<u32>(slotAt(bucket, slot));
}

/** Says that no flow is in a chain, while all threads stand still; then each bucket is renewed. */
export function forgetChains(): void {
  map.chainedFlows = 0;
}

/** Makes tags and count fit a bucket's slots and chain: whoever was changing it may not have come to that. */
export function renewBucket(bucket: u32): void {
  for (let slot: u32 = 0; slot < CHAIN; slot++) setTag(bucket, slot);
  for (let at = chainOf(bucket); at != 0; at = flowAt(at - 1).next) countChained(1);
}

/** Address of the word that leads to `flow`. */
function placeOf(flow: Flow): usize {
  const number = flowNumber(flow) + 1;
  const bucket = bucketOf(flow.hash, map.bucketCount);
  for (let slot: u32 = 0; slot < CHAIN; slot++) {
    if (load<u32>(slotAt(bucket, slot)) == number) return slotAt(bucket, slot);
  }
  let place = slotAt(bucket, CHAIN);
  while (load<u32>(place) != number) {
    assert(load<u32>(place) != 0, 'a flow is not in its bucket');
    place = changetype<usize>(flowAt(load<u32>(place) - 1)) + offsetof<Flow>('next');
  }
  return place;
}

function setTag(bucket: u32, slot: u32): void {
  const first = load<u32>(slotAt(bucket, slot));
  const tag = first == 0 ? TAG_FREE : tagOf(flowAt(first - 1).hash);
  atomic.store<u16>(tagsAt(bucket) + ((<usize>slot) << 1), <u16>tag);
}
