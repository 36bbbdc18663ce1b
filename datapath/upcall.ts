/**
 * The handler thread's side of a miss: takes frames from the datapath threads, sets those for the controller apart
 * (punt.ts), looks once more (the flow may have come meanwhile), and acts on each by the flow or program that the
 * tables gave.
 */

import { execute } from './action/execute';
import { PROGRAM_WORDS } from './action/opcode';
import { isSound } from './action/program';
import { BATCH, BATCH_SCRATCH, batch, frameIn, keyIn, setFrameIn } from './batch';
import { letGo } from './conntrack/train';
import { COUNT_BATCHES, COUNT_UPCALLS_HANDLED, count } from './counters';
import { DROP_BAD_PROGRAM } from './drop';
import { classify } from './flow/classifier';
import { flowAt, flowNumber } from './flow/flow';
import { KEY_SIZE } from './flow/key';
import { map, NONE } from './memory/arena';
import { enter } from './memory/epoch';
import { available, ringBetween } from './memory/ring';
import { self } from './memory/thread';
import { FRAME_PUNT, frameAt, receiveFrame } from './packet/frame';
import { act, parseAll } from './process';
import { addPunt, endPunts } from './punt';
import { drop } from './transmit';

/**
 * Takes up to a batch of misses and punts, fairly from all threads, this one's for their next round too; sets the
 * punts apart and parses the misses. Returns how many misses there are; punts that were left over are dropped.
 */
export function takeMisses(): u32 {
  enter();
  endPunts();
  let taken: u32 = 0;
  let n: u32 = 0;
  const share = max<u32>(BATCH / map.threadCount, 1);
  for (let from: u32 = 0; from < map.threadCount && taken < BATCH; from++) {
    const source = ringBetween(from, self.number);
    for (let i = min<u32>(min<u32>(available(source), share), BATCH - taken); i > 0; i--, taken++) {
      const number = receiveFrame(source);
      if (frameAt(number).flags & FRAME_PUNT) addPunt(number);
      else setFrameIn(n++, number);
    }
  }
  if (n != 0) {
    count(COUNT_UPCALLS_HANDLED, n);
    count(COUNT_BATCHES, 1);
  }
  return parseAll(n, 0);
}

/** The number of the flow that miss `i` takes by now, or NONE. */
export function flowOfMiss(i: u32): u32 {
  const flow = classify(keyIn(i));
  return flow ? flowNumber(flow) : NONE;
}

/** Acts on miss `i` by flow `number`. */
export function actByFlow(i: u32, number: u32): void {
  act(i, flowAt(number));
  letGo();
}

/** Acts on miss `i` by the program in this thread's scratch, which no flow holds. */
export function actByProgram(i: u32): void {
  const program = batch() + BATCH_SCRATCH + 2 * KEY_SIZE;
  if (isSound(program, program + ((<usize>PROGRAM_WORDS) << 2))) execute(frameIn(i), program, keyIn(i));
  else drop(frameIn(i), DROP_BAD_PROGRAM);
  letGo();
}
