/**
 * What happens to a received batch, a stage at a time over all its frames:
 *
 *     parse ──▶ look up (lookup.ts) ──▶ act, or hand to a handler, or wait for what a handler has (order.ts)
 *       ▲                                │                            │
 *       ├──── frames that go round ◀─────┘                            │
 *       └──── when that is done (`resume`) ◀──────────────────────────┘
 */

import { execute } from './action/execute';
import { BATCH, BATCH_FLOWS, BATCH_HASHES, batch, frameIn, keyIn, setFrameIn } from './batch';
import { bringAlong } from './conntrack/state';
import { letGo } from './conntrack/train';
import { COUNT_BATCHES, COUNT_RECEIVED, COUNT_UPCALLS, count, flowCounters, portCounters } from './counters';
import { DROP_UPCALL_QUEUE_FULL, PARSED } from './drop';
import { Flow, flowNumber, programAt } from './flow/flow';
import { Key } from './flow/key';
import { strandIn } from './handlers';
import { lookUpAll } from './lookup';
import { enter } from './memory/epoch';
import { available } from './memory/ring';
import { self } from './memory/thread';
import { areOut, areWaiting, beginOrder, goRoundInOrder, isOut, noteOut, takeDue, wait } from './order';
import { Frame, frameAt, receiveFrame } from './packet/frame';
import { parse } from './packet/parse';
import { portAt } from './port/port';
import { nextRound } from './recirculate';
import { hasUnpublished, passToHandler } from './share';
import { noteStage, now, STAGE_ACT, STAGE_LOOK_UP, STAGE_PARSE } from './stage';
import { drop, flush, mirror } from './transmit';

/** What has waited once does so no more: it goes to the handler, behind what it is to come after. */
let mayWait: bool = true;

/** Runs the `n` frames of this thread's batch, which came in at `port`. */
export function process(port: u32, n: u32): void {
  enter();
  countReceived(port, n);
  beginOrder(true);
  const mirrors = portAt(port).mirrorIn;
  if (self.timing != 0) runTimed(n, mirrors);
  else run(parseAll(n, mirrors));
  runRounds();
}

/** Between two batches: runs up to a batch of the frames that have waited and may go on. Returns how many. */
export function resume(): u32 {
  const n = takeDue();
  if (n == 0) return 0;
  enter();
  beginOrder(false);
  mayWait = false;
  run(parseAll(n, 0));
  runRounds();
  mayWait = true;
  return n;
}

/** Runs the frames of the batch that go round, until none does; and misses follow what was before them. */
function runRounds(): void {
  for (let n = takeNextRound(); n != 0; n = takeNextRound()) {
    if (areOut) goRoundInOrder();
    run(parseAll(n, 0));
  }
  if (hasUnpublished()) flush();
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

/** Counts, and reads each frame's first line: in a loop so short that the processor waits for all at once. */
function countReceived(port: u32, n: u32): void {
  let bytes: u64 = 0;
  let seen: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const frame = frameAt(frameIn(i));
    bytes += <u64>frame.length;
    seen |= load<u32>(frame.data);
  }
  store<u32>(batch() + BATCH_HASHES, seen); // or the reading would be left out
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
    if (frame.rounds != 0) continueRound(frame, keyIn(kept));
    setFrameIn(kept++, number);
  }
  return kept;
}

/** Tells the key of a frame that comes round where it was, and what was found out about it there. */
export function continueRound(frame: Frame, key: Key): void {
  key.recirculation = frame.recirculation;
  bringAlong(frame, key);
}

function actAll(n: u32): void {
  const flows = batch() + BATCH_FLOWS;
  for (let i: u32 = 0; i < n; i++) {
    const flow = load<usize>(flows + ((<usize>i) << 2));
    if (areOut && staysBehind(i, flow != 0)) continue;
    if (flow != 0) act(i, changetype<Flow>(flow));
    else upcall(i);
  }
  letGo();
}

/** Credits the flow and runs its program on frame `i` of the batch. */
export function act(i: u32, flow: Flow): void {
  const frame = frameIn(i);
  const number = flowNumber(flow);
  const counters = flowCounters(number);
  counters.packets++;
  counters.bytes += <u64>frameAt(frame).length;
  counters.usedMs = self.nowMs;
  counters.tcpFlags |= <u32>keyIn(i).tcpFlags;
  execute(frame, programAt(number), keyIn(i));
}

/** Third tier: hands frame `i` of the batch to a handler. */
function upcall(i: u32): void {
  const number = frameIn(i);
  const strand = strandIn(frameAt(number), keyIn(i));
  if (!passToHandler(number, strand)) return drop(number, DROP_UPCALL_QUEUE_FULL);
  noteOut(strand);
  count(COUNT_UPCALLS, 1);
}

/** Has frame `i` of the batch, which a flow takes or not, stay behind what is before it; false: nothing is. */
function staysBehind(i: u32, isHit: bool): bool {
  const number = frameIn(i);
  const strand = strandIn(frameAt(number), keyIn(i));
  const isBehind = areWaiting(strand) || (isHit && isOut(strand));
  if (!isBehind) return false;
  if (!mayWait) upcall(i);
  else if (!wait(number, strand)) drop(number, DROP_UPCALL_QUEUE_FULL);
  return true;
}
