/**
 * Runs a flow's program on a frame. An output takes the frame itself when nothing comes after it, and a
 * copy when something does; so one output, the usual case, copies nothing.
 */
import { COUNT_COPIED, count, countDrop } from '../counters';
import { DROP_FLOW, DROP_NO_FRAMES, DROP_TOO_LONG } from '../drop';
import { blockAt } from '../flow/install';
import { NONE } from '../memory/arena';
import { copyFrame, frameAt } from '../packet/frame';
import { setWord } from '../packet/rewrite';
import { popVlan, pushVlan } from '../packet/vlan';
import { drop, enqueue } from '../transmit';
import { OP_DROP, OP_END, OP_NEXT, OP_OUTPUT, OP_POP_VLAN, OP_PUSH_VLAN, OP_SET } from './opcode';

/** Runs the program at `pc` on frame `number`, which is then gone: queued for a port or dropped. */
export function execute(number: u32, pc: usize): void {
  const frame = frameAt(number);
  let waiting: u32 = NONE; // the port of an output that has not taken its frame yet
  let reason: u32 = DROP_FLOW;
  while (true) {
    const operation = load<u32>(pc);
    if (operation == OP_END) break;
    if (operation == OP_NEXT) {
      pc = blockAt(load<u32>(pc + 4));
      continue;
    }
    if (operation == OP_DROP) {
      reason = load<u32>(pc + 4);
      pc += 8;
      continue;
    }
    if (waiting != NONE) {
      sendCopy(number, waiting);
      waiting = NONE;
    }
    if (operation == OP_OUTPUT) {
      waiting = load<u32>(pc + 4);
      pc += 8;
    } else if (operation == OP_SET) {
      setWord(frame, load<u32>(pc + 4), load<u32>(pc + 8), load<u32>(pc + 12));
      pc += 16;
    } else if (operation == OP_PUSH_VLAN) {
      if (!pushVlan(frame, load<u32>(pc + 4))) {
        drop(number, DROP_TOO_LONG);
        return;
      }
      pc += 8;
    } else if (operation == OP_POP_VLAN) {
      popVlan(frame);
      pc += 4;
    } else {
      unreachable();
    }
  }
  if (waiting != NONE) enqueue(number, waiting);
  else drop(number, reason);
}

function sendCopy(number: u32, port: u32): void {
  const copy = copyFrame(frameAt(number));
  count(COUNT_COPIED, 1);
  if (copy == NONE) countDrop(DROP_NO_FRAMES, true, 1);
  else enqueue(copy, port);
}
