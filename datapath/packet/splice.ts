/**
 * Replaces bytes of what a packet carries, by more or by fewer. What stands in front of them, headers and all, moves
 * into the headroom or out of it:
 *
 *     ├─ headroom ─┤ Ethernet │ IP │ TCP │ …          │ 10,0,0,2 │ … ├
 *     ├─ headroom ┤ Ethernet │ IP │ TCP │ …       │ 192,0,2,100 │ … ├
 *
 * IP's length and the checksums come right with it. What was behind IP's end, padding of a short frame, is cut off.
 * A frame that stands for several segments stays one: they are cut later, from what it carries then.
 */
import { fold, sum, update } from './checksum';
import { Frame } from './frame';
import { be16, putBe16 } from './headers';
import { isIpv6, transportLength, updateCovered, updatePseudoHeader } from './transport-checksum';

const MOST: i32 = 65535; // RFC 791 §3.1, RFC 8200 §3: what a length of IP can say
const IPV4_CHECKSUM: usize = 10;

/**
 * Puts `length` bytes from `bytes` in place of those from `from` to `to`, offsets from `data` behind the transport's
 * header. False, and nothing is done, when there is no headroom or the packet would be too long.
 */
export function splice(frame: Frame, from: u32, to: u32, bytes: usize, length: u32): bool {
  const by = <i32>(length - (to - from));
  const before = transportLength(frame);
  if (by > <i32>(frame.data - frame.base) || <i32>be16(lengthAt(frame)) + by > MOST) return false;
  const covered = fold(sum(frame.data + frame.l4, before));
  frame.length = frame.l4 + before + by;
  const data = frame.data - by;
  memory.copy(data, frame.data, from);
  frame.data = data;
  memory.copy(data + from, bytes, length);
  lengthen(frame, by);
  updateCovered(frame, covered, fold(sum(frame.data + frame.l4, before + by)));
  updatePseudoHeader(frame, bswap<u16>(<u16>before), bswap<u16>(<u16>(before + by)));
  return true;
}

/** Where IP says its length. */
function lengthAt(frame: Frame): usize {
  return frame.data + frame.l3 + (isIpv6(frame) ? 4 : 2);
}

/** Has IP say that it carries `by` bytes more. */
function lengthen(frame: Frame, by: i32): void {
  const ip = frame.data + frame.l3;
  const before = load<u32>(ip);
  const length = lengthAt(frame);
  putBe16(length, be16(length) + by);
  if (!isIpv6(frame)) update(ip + IPV4_CHECKSUM, before, load<u32>(ip));
}
