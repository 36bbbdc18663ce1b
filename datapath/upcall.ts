/**
 * A handler's side of a miss: takes frames from the datapath threads, sets those for the controller apart
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
import { beginTurn, endRound } from './order';
import { FRAME_PUNT, frameAt } from './packet/frame';
import { act, parseAll } from './process';
import { addPunt, endPunts, puntCount } from './punt';
import { takePassed } from './share';
import { drop } from './transmit';

/**
 * Takes up to a batch of misses and punts, fairly from all datapath threads, and from this one for their next round;
 * sets the punts apart and parses the misses. Returns how many misses there are; punts that were left over are dropped.
 */
export function takeMisses(): u32 {
  enter();
  endPunts();
  const share = max<u32>(BATCH / (map.handlerThread + 1), 1);
  let misses: u32 = 0;
  for (let from: u32 = 0; from < map.handlerThread; from++) misses = takeFrom(from, share, misses);
  misses = takeFrom(self.number, share, misses);
  if (misses != 0) {
    count(COUNT_UPCALLS_HANDLED, misses);
    count(COUNT_BATCHES, 1);
  }
  return parseAll(misses, 0);
}

/**
 * Takes up to `most` frames that thread `from` has passed on, into a batch that has `misses` already, if there is room.
 * Returns how many misses it has then.
 */
function takeFrom(from: u32, most: u32, misses: u32): u32 {
  const room = BATCH - misses - puntCount();
  for (let n = min<u32>(min<u32>(available(ringBetween(from, self.number)), most), room); n > 0; n--) {
    const number = takePassed(from);
    const frame = frameAt(number);
    if (frame.flags & FRAME_PUNT) {
      addPunt(number);
      continue;
    }
    if (from == self.number) endRound(frame);
    else beginTurn(frame, from);
    setFrameIn(misses++, number);
  }
  return misses;
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
