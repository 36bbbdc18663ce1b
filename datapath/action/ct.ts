/**
 * Operations on the connection that a frame belongs to. What most requests do without stands before OP_CT in
 * operations of its own: OP_CT_LABEL and OP_CT_NAT only say what the next OP_CT of the program takes.
 */
import { forgetTracking } from '../conntrack/state';
import { CtRequest, track } from '../conntrack/track';
import { frameAt } from '../packet/frame';
import { OP_CT_LABEL, OP_CT_NAT, operationWords } from './opcode';

/** Operands that wait for their OP_CT: their addresses; 0: none. */
let label: usize = 0;
let nat: usize = 0;

/** Does the operation at `pc` to a frame. Where it goes on. */
export function ct(number: u32, pc: usize): usize {
  const operation = load<u32>(pc);
  const operands = pc + 4;
  if (operation == OP_CT_LABEL) {
    label = operands;
  } else if (operation == OP_CT_NAT) {
    nat = operands;
  } else {
    track(frameAt(number), changetype<CtRequest>(operands), label, nat);
    label = 0;
    nat = 0;
  }
  return pc + ((<usize>operationWords(operation)) << 2);
}

/** Makes a frame one that has not been tracked. */
export function clearCt(number: u32): void {
  forgetTracking(frameAt(number));
}
