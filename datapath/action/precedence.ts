/**
 * The drop precedence in a DSCP (RFC 2597 §6): assured forwarding has four classes with three precedences each,
 * class × 8 + precedence × 2. No other DSCP has one.
 */
import { Key } from '../flow/key';
import { Frame, NETWORK_IPV4, NETWORK_IPV6 } from '../packet/frame';
import { be16 } from '../packet/headers';
import { setWord } from '../packet/rewrite';

const HIGHEST: u32 = 3;

/** Raises the drop precedence by `by`, as far as it goes. Nothing for a packet whose DSCP has none. */
export function raiseDropPrecedence(frame: Frame, by: u32): void {
  const dscp = tos(frame) >>> 2;
  const class_ = dscp >>> 3;
  const precedence = (dscp >>> 1) & 3;
  if (class_ < 1 || class_ > 4 || precedence == 0 || (dscp & 1) != 0) return;
  const raised = (class_ << 3) | (min<u32>(precedence + min<u32>(by, HIGHEST), HIGHEST) << 1);
  // The byte `nwTos` of the key word that begins with `nwProto`; its low two bits are ECN's.
  setWord(frame, offsetof<Key>('nwProto'), raised << 10, 0xfc00);
}

/** The traffic class byte of an IP packet; 0 for others. */
function tos(frame: Frame): u32 {
  const ip = frame.data + frame.l3;
  if (frame.network == NETWORK_IPV4) return <u32>load<u8>(ip + 1);
  return frame.network == NETWORK_IPV6 ? (be16(ip) >>> 4) & 0xff : 0;
}
