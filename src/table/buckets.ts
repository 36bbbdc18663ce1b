/** Which buckets of a group a packet may take. */

import type { Bucket, Group, Selection } from './group.ts';
import type { Packet } from './packet.ts';
import type { TranslationContext } from './translation.ts';

/** Groups that watch one another in a longer chain count as dead. */
const WATCH_DEPTH_MAX = 64;

type Watched = Pick<TranslationContext, 'groups' | 'ports'>;

/** A bucket that watches nothing is alive; else one of the things that it watches has to be. */
function isAlive({ watchPort, watchGroup }: Bucket, context: Watched, depth: number): boolean {
  if (watchPort === undefined && watchGroup === undefined) return true;
  if (watchPort !== undefined && context.ports.get(watchPort)?.up) return true;
  const group = watchGroup === undefined ? undefined : context.groups.get(watchGroup);
  return depth < WATCH_DEPTH_MAX && !!group?.buckets.some((bucket) => isAlive(bucket, context, depth + 1));
}

/** The buckets of a group that are alive, in order. */
export const liveBuckets = (group: Group, context: Watched): readonly Bucket[] =>
  group.buckets.filter((bucket) => isAlive(bucket, context, 0));

/**
 * The bucket that a hash of the packet's fields chooses, in proportion to the weights; the fields are looked at.
 * A bucket that comes or goes moves only the packets that are or were its own: each draws how long it takes to
 * arrive, as an exponential variable with its weight for rate, and the first is chosen.
 * @param buckets one at least, all with a weight
 */
export function bucketByHash(
  packet: Packet,
  { param, fields }: Selection,
  buckets: readonly Bucket[],
): Bucket {
  let hash = mix(Number(param & 0xffff_ffffn), Number(param >> 32n));
  for (const { field, mask } of fields) {
    for (const byte of packet.readMasked(field, mask)) hash = mix(hash, byte);
    hash = mix(hash, field.offset);
  }
  const arrival = ({ id, weight }: Bucket): number =>
    -Math.log((mix(mix(hash, id), id) + 0.5) / 2 ** 32) / weight;
  return buckets.reduce((best, bucket) => (arrival(bucket) < arrival(best) ? bucket : best));
}

/** The finaliser of MurmurHash3 (Appleby 2011) over one more word. */
function mix(hash: number, word: number): number {
  let mixed = Math.imul(hash ^ word, 0x85eb_ca6b) + 0x9e37_79b9;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
