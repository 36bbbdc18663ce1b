/**
 * Runs a flow's program on a frame. What takes the frame (an output, the controller, another round, a program
 * inside) gets the frame itself when nothing comes after it, and a copy when something does; so one output, the
 * usual case, copies nothing. A drop comes after them too: they get copies, and the frame that fate, unless
 * something behind takes it.
 */
import { DROP_FLOW } from '../drop';
import { blockAt } from '../flow/flow';
import { Key } from '../flow/key';
import { NONE } from '../memory/arena';
import { frameAt } from '../packet/frame';
import { setWord } from '../packet/rewrite';
import { punt } from '../punt';
import { recirculate } from '../recirculate';
import { copyForTaker, drop, enqueue } from '../transmit';
import { change } from './change';
import {
  OP_CLONE,
  OP_CONTROLLER,
  OP_CT,
  OP_CT_CLEAR,
  OP_CT_LABEL,
  OP_CT_NAT,
  OP_DROP,
  OP_END,
  OP_METER,
  OP_NEXT,
  OP_OUTPUT,
  OP_POP_MPLS,
  OP_POP_VLAN,
  OP_PUSH_MPLS,
  OP_PUSH_VLAN,
  OP_RECIRCULATE,
  OP_SAMPLE,
  OP_SELECT,
  OP_SET,
  OP_TRUNCATE,
} from './opcode';
import { behind, inside } from './program';
import { isSampled } from './sample';
import { select } from './select';
import { tally } from './tally';
import { truncate } from './truncate';

/** Sets of operations, a bit each: what takes the frame, and what of that sends it; what changes the frame. */
const SENDERS: u32 = (1 << OP_OUTPUT) | (1 << OP_CONTROLLER);
const TAKERS: u32 = SENDERS | (1 << OP_CLONE) | (1 << OP_SAMPLE) | (1 << OP_SELECT) | (1 << OP_RECIRCULATE);
const CHANGES: u32 =
  (1 << OP_SET) |
  (1 << OP_PUSH_VLAN) |
  (1 << OP_POP_VLAN) |
  (1 << OP_PUSH_MPLS) |
  (1 << OP_POP_MPLS) |
  (1 << OP_METER) |
  (1 << OP_CT) |
  (1 << OP_CT_LABEL) |
  (1 << OP_CT_NAT) |
  (1 << OP_CT_CLEAR);

/** What takes the frame before one of these gets a copy. */
const FOLLOWERS: u32 = CHANGES | (1 << OP_DROP);

/**
 * Runs the program at `pc` on frame `number`, which is then gone: queued, on its way round, or dropped. `key` is
 * the packet's as it came in. Most programs set some fields and send the packet to one port, and need no more.
 */
export function execute(number: u32, pc: usize, key: Key): void {
  const frame = frameAt(number);
  for (; load<u32>(pc) == OP_SET; pc += 16) {
    setWord(frame, load<u32>(pc + 4), load<u32>(pc + 8), load<u32>(pc + 12));
  }
  if (load<u32>(pc) == OP_OUTPUT && load<u32>(pc + 8) == OP_END) enqueue(number, load<u32>(pc + 4));
  else interpret(number, pc, key);
}

function interpret(number: u32, pc: usize, key: Key): void {
  let taker: usize = 0; // an operation that takes the frame and has not got it yet
  let takerBytes: u32 = NONE; // at most so many bytes of it
  let bytes: u32 = NONE; // what OP_TRUNCATE leaves to the next that sends
  let reason: u32 = DROP_FLOW;
  while (true) {
    const operation = load<u32>(pc);
    const kind: u32 = 1 << operation;
    if (operation == OP_END) break;
    if (kind & TAKERS) {
      if (operation == OP_SAMPLE && !isSampled(load<u32>(pc + 4))) {
        pc = behind(pc);
        continue;
      }
      if (taker != 0) handCopy(number, taker, takerBytes, key);
      taker = pc;
      takerBytes = kind & SENDERS ? bytes : NONE;
      if (kind & SENDERS) bytes = NONE;
      pc = behind(pc);
    } else if (kind & FOLLOWERS) {
      if (taker != 0) handCopy(number, taker, takerBytes, key);
      taker = 0;
      if (operation == OP_DROP) {
        reason = load<u32>(pc + 4);
        pc += 8;
        continue;
      }
      pc = change(number, pc, key);
      if (pc == 0) return;
    } else if (operation == OP_NEXT) {
      pc = blockAt(load<u32>(pc + 4));
    } else {
      if (operation == OP_TRUNCATE) bytes = load<u32>(pc + 4);
      else tally(load<u32>(pc + 4), frameAt(number));
      pc += 8;
    }
  }
  if (taker != 0) hand(number, taker, takerBytes, key);
  else drop(number, reason);
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
    punt(number, load<u32>(pc + 4), bytes, key);
  } else if (operation == OP_RECIRCULATE) {
    recirculate(number, load<u32>(pc + 4), key);
  } else {
    const program = operation == OP_SELECT ? select(pc, key) : inside(pc);
    if (program != 0) execute(number, program, key);
    else drop(number, DROP_FLOW);
  }
}
