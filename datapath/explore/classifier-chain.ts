/**
 * Classifier: the same as there, but in a bucket that has no free slot, so that all flows come to the chain, and
 * tags find none of them.
 */
import { BUCKET_SLOTS, tagsAt } from '../flow/buckets';
import { installFor, setUpBucket } from './classifier';

export { check, thread0, thread1, thread2 } from './classifier';

export function setUp(): void {
  setUpBucket();
  for (let slot: u32 = 0; slot < BUCKET_SLOTS - 1; slot++) store<u16>(tagsAt(0) + ((<usize>slot) << 1), 1);
  installFor(1);
}
