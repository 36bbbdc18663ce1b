/** Operations that change the frame in hand, or end it. */
import { DROP_METER, DROP_TOO_LONG } from '../drop';
import { Key } from '../flow/key';
import { frameAt } from '../packet/frame';
import { popMpls, pushMpls } from '../packet/mpls';
import { setWord } from '../packet/rewrite';
import { popVlan, pushVlan } from '../packet/vlan';
import { drop } from '../transmit';
import { clearCt, ct } from './ct';
import { passesMeter } from './meter';
import {
  OP_CT,
  OP_CT_CLEAR,
  OP_CT_LABEL,
  OP_CT_NAT,
  OP_METER,
  OP_POP_MPLS,
  OP_POP_VLAN,
  OP_PUSH_MPLS,
  OP_PUSH_VLAN,
  OP_SET,
} from './opcode';

/** Does the operation at `pc` to frame `number`. Where it goes on; 0: the frame is gone. `key` is as for `execute`. */
export function change(number: u32, pc: usize, key: Key): usize {
  const frame = frameAt(number);
  switch (load<u32>(pc)) {
    case OP_SET:
      setWord(frame, load<u32>(pc + 4), load<u32>(pc + 8), load<u32>(pc + 12));
      return pc + 16;
    case OP_PUSH_VLAN:
      return pushVlan(frame, load<u32>(pc + 4)) ? pc + 8 : end(number, DROP_TOO_LONG);
    case OP_POP_VLAN:
      popVlan(frame);
      return pc + 4;
    case OP_PUSH_MPLS:
      return pushMpls(frame, load<u32>(pc + 4), load<u32>(pc + 8)) ? pc + 12 : end(number, DROP_TOO_LONG);
    case OP_POP_MPLS:
      popMpls(frame, load<u32>(pc + 4));
      return pc + 8;
    case OP_METER:
      return passesMeter(load<u32>(pc + 4), frame) ? pc + 8 : end(number, DROP_METER);
    case OP_CT:
    case OP_CT_LABEL:
    case OP_CT_NAT:
      return ct(number, pc, key);
    case OP_CT_CLEAR:
      clearCt(number);
      return pc + 4;
    default:
      return unreachable();
  }
}

function end(number: u32, reason: u32): usize {
  drop(number, reason);
  return 0;
}
