/**
 * Operations on the connection that a frame belongs to. What most requests do without stands before OP_CT in
 * operations of its own: OP_CT_LABEL and OP_CT_NAT only say what the next OP_CT of the program takes.
 *
 * A fragment waits there for the rest of its datagram. Whoever brings the last runs what follows in its program for
 * each of the datagram's fragments, in order, as if all had come as that one did.
 */
import { fragmentAt } from '../conntrack/fragment';
import { FRAGMENT_GONE, FRAGMENT_REFUSED, holdFragment } from '../conntrack/hold';
import { trackDatagram } from '../conntrack/reassemble';
import { CtRequest } from '../conntrack/request';
import { forgetTracking } from '../conntrack/state';
import { track } from '../conntrack/track';
import { Key } from '../flow/key';
import { frameAt, SHAPE_FRAGMENT } from '../packet/frame';
import { execute } from './execute';
import { OP_CT, OP_CT_LABEL, operationWords } from './opcode';

/** Operands that wait for their OP_CT: their addresses; 0: none. */
let label: usize = 0;
let nat: usize = 0;

/** Does the operation at `pc` to a frame. Where it goes on; 0: the frame is gone. */
export function ct(number: u32, pc: usize, key: Key): usize {
  const operation = load<u32>(pc);
  const operands = pc + 4;
  const next = pc + ((<usize>operationWords(operation)) << 2);
  if (operation == OP_CT) return request(number, changetype<CtRequest>(operands), next, key);
  if (operation == OP_CT_LABEL) label = operands;
  else nat = operands;
  return next;
}

/** Tracks the frame, or the datagram that it completes. Where the program goes on, which is at `next`. */
function request(number: u32, asked: CtRequest, next: usize, key: Key): usize {
  const ownLabel = label;
  const ownNat = nat;
  label = 0;
  nat = 0;
  const isFragment = (frameAt(number).shape & SHAPE_FRAGMENT) != 0;
  const first = isFragment ? holdFragment(number, <u16>asked.zone) : FRAGMENT_REFUSED;
  if (first == FRAGMENT_GONE) return 0;
  if (first != FRAGMENT_REFUSED) {
    return trackDatagram(first, asked, ownLabel, ownNat) ? goOn(first, number, next, key) : 0;
  }
  track(frameAt(number), asked, ownLabel, ownNat);
  return next;
}

/** Runs the program at `pc` for all fragments from frame `first` on, as for `last`, which came last. 0: all are gone. */
function goOn(first: u32, last: u32, pc: usize, key: Key): usize {
  const port = frameAt(last).port;
  const rounds = frameAt(last).rounds;
  const strand = frameAt(last).strand;
  const origin = frameAt(last).origin;
  const turn = frameAt(last).turn;
  const recirculation = frameAt(last).recirculation;
  for (let at = first + 1; at != 0; ) {
    const number = at - 1;
    const frame = frameAt(number);
    frame.port = port;
    frame.rounds = rounds;
    frame.strand = strand;
    frame.origin = origin;
    frame.turn = turn;
    frame.recirculation = recirculation;
    at = fragmentAt(number).next;
    execute(number, pc, key);
  }
  return 0;
}

/** Makes a frame one that has not been tracked. */
export function clearCt(number: u32): void {
  forgetTracking(frameAt(number));
}
