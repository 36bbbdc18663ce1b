/**
 * Runs a flow's program on a frame. What takes the frame (an output, the controller, another round, a program
 * inside) gets the frame itself when nothing comes after it, and a copy when something does; so one output, the
 * usual case, copies nothing.
 */
import { DROP_FLOW } from '../drop';
import { blockAt } from '../flow/flow';
import { Key } from '../flow/key';
import { NONE } from '../memory/arena';
import { frameAt } from '../packet/frame';
import { punt } from '../punt';
import { recirculate } from '../recirculate';
import { copyForTaker, drop, enqueue } from '../transmit';
import { change } from './change';
import {
  OP_CLONE,
  OP_CONTROLLER,
  OP_DROP,
  OP_END,
  OP_NEXT,
  OP_OUTPUT,
  OP_RECIRCULATE,
  OP_SAMPLE,
  OP_SELECT,
  OP_TALLY,
  OP_TRUNCATE,
  operationWords,
} from './opcode';
import { behind, inside } from './program';
import { isSampled } from './sample';
import { select } from './select';
import { tally } from './tally';
import { truncate } from './truncate';

/**
 * Runs the program at `pc` on frame `number`, which is then gone: queued, on its way round, or dropped. `key` is
 * the packet's as it came in.
 */
export function execute(number: u32, pc: usize, key: Key): void {
  let taker: usize = 0; // an operation that takes the frame and has not got it yet
  let takerBytes: u32 = NONE; // at most so many bytes of it
  let bytes: u32 = NONE; // what OP_TRUNCATE leaves to the next that sends
  let reason: u32 = DROP_FLOW;
  while (true) {
    const operation = load<u32>(pc);
    if (operation == OP_OUTPUT) {
      if (taker != 0) handCopy(number, taker, takerBytes, key);
      taker = pc;
      takerBytes = bytes;
      bytes = NONE;
      pc += 8;
      continue;
    }
    if (operation == OP_END) break;
    if (operation == OP_NEXT) {
      pc = blockAt(load<u32>(pc + 4));
      continue;
    }
    if (isAside(operation)) {
      if (operation == OP_DROP) reason = load<u32>(pc + 4);
      else if (operation == OP_TRUNCATE) bytes = load<u32>(pc + 4);
      else tally(load<u32>(pc + 4), frameAt(number));
      pc += 8;
      continue;
    }
    if (operation == OP_SAMPLE && !isSampled(load<u32>(pc + 4))) {
      pc = behind(pc);
      continue;
    }
    if (taker != 0) {
      handCopy(number, taker, takerBytes, key);
      taker = 0;
    }
    if (operation == OP_CONTROLLER) {
      taker = pc;
      takerBytes = bytes;
      bytes = NONE;
      pc += 8;
    } else if (takesFrame(operation)) {
      taker = pc;
      takerBytes = NONE;
      pc = behind(pc);
    } else {
      if (!change(number, pc)) return;
      pc += (<usize>operationWords(operation)) << 2;
    }
  }
  if (taker != 0) hand(number, taker, takerBytes, key);
  else drop(number, reason);
}

/** Two words that neither change the frame nor take it. */
function isAside(operation: u32): bool {
  return operation == OP_DROP || operation == OP_TRUNCATE || operation == OP_TALLY;
}

/** Whether it takes the frame whole. */
function takesFrame(operation: u32): bool {
  return (
    operation == OP_CLONE || operation == OP_SAMPLE || operation == OP_SELECT || operation == OP_RECIRCULATE
  );
}

/** Gives the taker at `pc` a copy of the frame as it is now. */
function handCopy(number: u32, pc: usize, bytes: u32, key: Key): void {
  const copy = copyForTaker(number);
  if (copy != NONE) hand(copy, pc, bytes, key);
}

/** Gives the frame to the taker at `pc`: at most `bytes` of it to one that sends. */
function hand(number: u32, pc: usize, bytes: u32, key: Key): void {
  const operation = load<u32>(pc);
  if (operation == OP_OUTPUT) {
    if (bytes != NONE) truncate(frameAt(number), bytes);
    enqueue(number, load<u32>(pc + 4));
  } else if (operation == OP_CONTROLLER) {
    punt(number, load<u32>(pc + 4), bytes);
  } else if (operation == OP_RECIRCULATE) {
    recirculate(number, load<u32>(pc + 4));
  } else {
    const program = operation == OP_SELECT ? select(pc, key) : inside(pc);
    if (program != 0) execute(number, program, key);
    else drop(number, DROP_FLOW);
  }
}
