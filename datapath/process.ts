/**
 * What happens to a received batch, a stage at a time over all its frames:
 *
 *     parse ──▶ look up: cache, then classifier ──▶ act, or hand to the handler
 *       ▲                                            │
 *       └──────────── frames that go round ◀─────────┘
 */

import { execute } from './action/execute';
import { BATCH, BATCH_FLOWS, BATCH_HASHES, batch, frameIn, keyIn, setFrameIn } from './batch';
import {
  COUNT_BATCHES,
  COUNT_CACHE_HITS,
  COUNT_CLASSIFIER_HITS,
  COUNT_RECEIVED,
  COUNT_UPCALLS,
  count,
  flowCounters,
  portCounters,
} from './counters';
import { DROP_UPCALL_QUEUE_FULL, PARSED } from './drop';
import { cached, remember } from './flow/cache';
import { classify } from './flow/classifier';
import { FLOW_PROGRAM, Flow, flowNumber } from './flow/flow';
import { hashKey } from './flow/hash';
import { Key } from './flow/key';
import { map } from './memory/arena';
import { enter } from './memory/epoch';
import { available } from './memory/ring';
import { ring, self } from './memory/thread';
import { frameAt, passFrame, receiveFrame } from './packet/frame';
import { parse } from './packet/parse';
import { portAt } from './port/port';
import { nextRound } from './recirculate';
import { noteStage, now, STAGE_ACT, STAGE_LOOK_UP, STAGE_PARSE } from './stage';
import { drop, mirror } from './transmit';

/** Runs the `n` frames of this thread's batch, which came in at `port`. */
export function process(port: u32, n: u32): void {
  enter();
  countReceived(port, n);
  const mirrors = portAt(port).mirrorIn;
  if (self.timing != 0) runTimed(n, mirrors);
  else run(parseAll(n, mirrors));
  for (n = takeNextRound(); n != 0; n = takeNextRound()) run(parseAll(n, 0));
}

/** Looks up and acts on the `n` frames of the batch, which are parsed. */
function run(n: u32): void {
  lookUpAll(n);
  actAll(n);
}

/** Parses, looks up and acts on the `n` frames of the batch, and notes how long each took. */
function runTimed(n: u32, mirrors: u32): void {
  const began = now();
  const kept = parseAll(n, mirrors);
  const parsed = now();
  lookUpAll(kept);
  const found = now();
  actAll(kept);
  noteStage(STAGE_ACT, n, now() - found);
  noteStage(STAGE_LOOK_UP, n, found - parsed);
  noteStage(STAGE_PARSE, n, parsed - began);
}

/** Makes up to a batch of this thread's frames that go round its batch. Returns how many. */
function takeNextRound(): u32 {
  const waiting = nextRound();
  const n = min<u32>(available(waiting), BATCH);
  for (let i: u32 = 0; i < n; i++) setFrameIn(i, receiveFrame(waiting));
  return n;
}

function countReceived(port: u32, n: u32): void {
  let bytes: u64 = 0;
  for (let i: u32 = 0; i < n; i++) bytes += <u64>frameAt(frameIn(i)).length;
  const counters = portCounters(port);
  counters.rxPackets += n;
  counters.rxBytes += bytes;
  count(COUNT_RECEIVED, n);
  count(COUNT_BATCHES, 1);
}

/**
 * Parses the frames, copies each, well formed or not, to the ports `mirrors` (a byte each), and closes the gaps that
 * malformed ones leave; returns how many are left.
 */
export function parseAll(n: u32, mirrors: u32): u32 {
  let kept: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const number = frameIn(i);
    const frame = frameAt(number);
    const reason = parse(frame, keyIn(kept));
    if (mirrors != 0) mirror(number, mirrors);
    if (reason != PARSED) {
      drop(number, reason);
      continue;
    }
    if (frame.rounds != 0) keyIn(kept).recirculation = frame.recirculation;
    setFrameIn(kept++, number);
  }
  return kept;
}

function lookUpAll(n: u32): void {
  const hashes = batch() + BATCH_HASHES;
  const flows = batch() + BATCH_FLOWS;
  let hits: u32 = 0;
  for (let i: u32 = 0; i < n; i++) store<u32>(hashes + ((<usize>i) << 2), hashKey(keyIn(i)));
  for (let i: u32 = 0; i < n; i++) {
    const hash = load<u32>(hashes + ((<usize>i) << 2));
    const flow = cached(keyIn(i), hash);
    if (flow) hits++;
    store<usize>(flows + ((<usize>i) << 2), flow ? changetype<usize>(flow) : lookUp(keyIn(i), hash));
  }
  count(COUNT_CACHE_HITS, hits);
}

/** Second tier. The address of the flow, 0 when there is none. */
function lookUp(key: Key, hash: u32): usize {
  const flow = classify(key);
  if (!flow) return 0;
  count(COUNT_CLASSIFIER_HITS, 1);
  remember(hash, flow);
  return changetype<usize>(flow);
}

function actAll(n: u32): void {
  const flows = batch() + BATCH_FLOWS;
  let misses: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const flow = load<usize>(flows + ((<usize>i) << 2));
    if (flow != 0) act(i, changetype<Flow>(flow));
    else if (upcall(frameIn(i))) misses++;
  }
  if (misses != 0) {
    count(COUNT_UPCALLS, misses);
    ring(map.handlerThread);
  }
}

/** Credits the flow and runs its program on frame `i` of the batch. */
export function act(i: u32, flow: Flow): void {
  const number = frameIn(i);
  const counters = flowCounters(flowNumber(flow));
  counters.packets++;
  counters.bytes += <u64>frameAt(number).length;
  counters.usedMs = self.nowMs;
  counters.tcpFlags |= <u32>keyIn(i).tcpFlags;
  execute(number, changetype<usize>(flow) + FLOW_PROGRAM, keyIn(i));
}

/** Third tier: hands the frame to the handler thread. */
function upcall(number: u32): bool {
  if (passFrame(number, map.handlerThread)) return true;
  drop(number, DROP_UPCALL_QUEUE_FULL);
  return false;
}
