/** Operations that change the frame in hand, or end it. */
import { DROP_METER, DROP_TOO_LONG } from '../drop';
import { frameAt } from '../packet/frame';
import { popMpls, pushMpls } from '../packet/mpls';
import { setWord } from '../packet/rewrite';
import { popVlan, pushVlan } from '../packet/vlan';
import { drop } from '../transmit';
import { passesMeter } from './meter';
import { OP_METER, OP_POP_MPLS, OP_POP_VLAN, OP_PUSH_MPLS, OP_PUSH_VLAN, OP_SET } from './opcode';

/** Does the operation at `pc` to frame `number`. False: the frame was dropped. */
export function change(number: u32, pc: usize): bool {
  const frame = frameAt(number);
  switch (load<u32>(pc)) {
    case OP_SET:
      setWord(frame, load<u32>(pc + 4), load<u32>(pc + 8), load<u32>(pc + 12));
      return true;
    case OP_PUSH_VLAN:
      return pushVlan(frame, load<u32>(pc + 4)) || end(number, DROP_TOO_LONG);
    case OP_POP_VLAN:
      popVlan(frame);
      return true;
    case OP_PUSH_MPLS:
      return pushMpls(frame, load<u32>(pc + 4), load<u32>(pc + 8)) || end(number, DROP_TOO_LONG);
    case OP_POP_MPLS:
      popMpls(frame, load<u32>(pc + 4));
      return true;
    case OP_METER:
      return passesMeter(load<u32>(pc + 4), frame) || end(number, DROP_METER);
    default:
      return unreachable();
  }
}

/** Drops the frame; false. */
function end(number: u32, reason: u32): bool {
  drop(number, reason);
  return false;
}
