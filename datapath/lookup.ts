/**
 * The look-up stage: finds the flow of each packet of a batch, in the thread's cache, else in the
 * classifier, all that the cache did not have together.
 */
import { BATCH_FLOWS, BATCH_HASHES, BATCH_KEYS, BATCH_MISSES, batch, keyIn } from './batch';
import { COUNT_CACHE_HITS, COUNT_CLASSIFIER_HITS, count } from './counters';
import { cached, remember } from './flow/cache';
import { classifyBatch } from './flow/classifier';
import { Flow } from './flow/flow';
import { hashKey } from './flow/hash';
import { enter } from './memory/epoch';

/** Fills the batch's `flows` for its first `n` keys. */
export function lookUpAll(n: u32): void {
  const hashes = batch() + BATCH_HASHES;
  const flows = batch() + BATCH_FLOWS;
  const misses = batch() + BATCH_MISSES;
  for (let i: u32 = 0; i < n; i++) store<u32>(hashes + ((<usize>i) << 2), hashKey(keyIn(i)));
  let missed: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const flow = changetype<usize>(cached(keyIn(i), load<u32>(hashes + ((<usize>i) << 2))));
    store<usize>(flows + ((<usize>i) << 2), flow);
    store<u32>(misses + ((<usize>missed) << 2), i);
    missed += <u32>(flow == 0);
  }
  count(COUNT_CACHE_HITS, n - missed);
  if (missed != 0) lookUpMisses(missed);
}

/** Second tier, for the first `n` that the batch's `misses` list. */
function lookUpMisses(n: u32): void {
  const hashes = batch() + BATCH_HASHES;
  const flows = batch() + BATCH_FLOWS;
  const misses = batch() + BATCH_MISSES;
  classifyBatch(batch() + BATCH_KEYS, misses, n, flows);
  let hits: u32 = 0;
  for (let p: u32 = 0; p < n; p++) {
    const i = <usize>load<u32>(misses + ((<usize>p) << 2));
    const flow = load<usize>(flows + (i << 2));
    if (flow == 0) continue;
    remember(load<u32>(hashes + (i << 2)), changetype<Flow>(flow));
    hits++;
  }
  count(COUNT_CLASSIFIER_HITS, hits);
}

/**
 * For the bench: the classifier alone, for `n` keys, at most BATCH, that stand at `keys`, perhaps far from the
 * processor. Leaves the addresses of their flows in the batch's `flows`.
 */
export function lookUpUncached(keys: usize, n: u32): void {
  enter();
  const misses = batch() + BATCH_MISSES;
  let seen: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    store<u32>(misses + ((<usize>i) << 2), i);
    seen |= load<u32>(keys + ((<usize>i) << 7));
  }
  store<u32>(batch() + BATCH_HASHES, seen); // or the keys would be waited for one by one
  classifyBatch(keys, misses, n, batch() + BATCH_FLOWS);
}
