/**
 * The hash table of all flows: buckets of sixteen slots, and for each slot a tag of its flow's hash.
 *
 *     tags     [ 16 × u16 ][ 16 × u16 ] …     half a line a bucket
 *     slots    [ 16 × u32 ][ 16 × u32 ] …     a line a bucket; flow number + 1, 0 none
 *
 * A look-up under a mask that has no flow for the packet, and most are, reads the tags alone: six bytes a flow,
 * which stay in the processor's second level where neither slots nor flow records would. All sixteen are
 * compared at once; one look-up in six thousand meets a tag of another flow.
 *
 * A flow goes into a slot of its bucket that is free and never moves. When none is, it goes to the head of
 * a chain (`Flow.next`) in the last slot, whose tag is then TAG_ANY. With five flows a bucket on average that
 * happens to one bucket in fifty thousand: so no second choice of bucket is needed, which would cost every
 * look-up that finds nothing a second line.
 *
 * Written under the classifier's lock: first the word that leads to a flow or past it, then the slot's tag,
 * each with one atomic store. Readers take no lock. They load tags as they are, sixteen bytes at a time: a
 * tag, being aligned, is never torn, and an old one does no harm. For a tag lets nothing through but a look
 * at the slot, which is loaded atomically and whose flows are compared with the key; and a flow that stays
 * is found whatever happens beside it, since its slot's tag is its own or TAG_ANY and its chain leads to it.
 */
import { map } from '../memory/arena';
import { Flow, flowAt, flowNumber, nextOf } from './flow';

export const BUCKET_SLOTS: u32 = 16;
export const BUCKET_TAGS_SIZE: u32 = 32;
export const BUCKET_SLOTS_SIZE: u32 = 64;

/** There are so many buckets that one has no more flows than this on average. */
export const BUCKET_FLOWS: u32 = 5;

const TAG_FREE: u32 = 0;
const TAG_ANY: u32 = 0xffff; // of a slot with several flows
const LAST_SLOT: u32 = 15; // of sixteen

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
  const last = v128.load(tags, 16);
  const high = v128.or(i16x8.eq(last, wanted), i16x8.eq(last, i16x8.splat(<i16>TAG_ANY)));
  return i8x16.bitmask(i8x16.narrow_i16x8_s(low, high));
}

/** Shows `flow`, which is complete, to the readers. Under the lock. */
export function show(flow: Flow): void {
  const bucket = bucketOf(flow.hash, map.bucketCount);
  const slot = min<u32>(ctz<u32>(candidates(tagsAt(bucket), TAG_FREE)), LAST_SLOT);
  flow.next = load<u32>(slotAt(bucket, slot));
  atomic.store<u32>(slotAt(bucket, slot), flowNumber(flow) + 1);
  setTag(bucket, slot);
}

/** Leads the readers past `flow`. Under the lock. */
export function hide(flow: Flow): void {
  const bucket = bucketOf(flow.hash, map.bucketCount);
  const place = placeOf(flow);
  atomic.store<u32>(place, flow.next);
  const slot = <u32>(place - slotAt(bucket, 0)) >>> 2;
  setTag(bucket, min<u32>(slot, LAST_SLOT)); // the place is a slot, or in a record of the last slot's chain
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

/** Makes the tags of a bucket fit its slots: whoever was changing it may not have come to that. */
export function renewTags(bucket: u32): void {
  for (let slot: u32 = 0; slot < BUCKET_SLOTS; slot++) setTag(bucket, slot);
}

/** Address of the word that leads to `flow`. */
function placeOf(flow: Flow): usize {
  const number = flowNumber(flow) + 1;
  const bucket = bucketOf(flow.hash, map.bucketCount);
  for (let slot: u32 = 0; slot < LAST_SLOT; slot++) {
    if (load<u32>(slotAt(bucket, slot)) == number) return slotAt(bucket, slot);
  }
  let place = slotAt(bucket, LAST_SLOT);
  while (load<u32>(place) != number) {
    assert(load<u32>(place) != 0, 'a flow is not in its bucket');
    place = changetype<usize>(flowAt(load<u32>(place) - 1)) + offsetof<Flow>('next');
  }
  return place;
}

function setTag(bucket: u32, slot: u32): void {
  const first = load<u32>(slotAt(bucket, slot));
  const flow = flowAt(first - 1);
  const tag = first == 0 ? TAG_FREE : nextOf(flow) == 0 ? tagOf(flow.hash) : TAG_ANY;
  atomic.store<u16>(tagsAt(bucket) + ((<usize>slot) << 1), <u16>tag);
}
