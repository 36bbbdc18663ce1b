/**
 * MPLS label stacks (RFC 3032): read, rewritten, pushed into the headroom and popped out of it. The stack
 * stands behind the tags; only what is in front of it moves.
 *
 *     entry   ├ label 20 bits ┼ traffic class 3 ┼ bottom of stack 1 ┼ TTL 8 ┤
 *
 * The key has the three outermost entries. What is behind the bottom of the stack is not read, for nothing
 * says what it is. A header that was there before labels were pushed on it stays known, so that a segment can
 * still be cut.
 */
import { DROP_MPLS_TRUNCATED, PARSED } from '../drop';
import { Key } from '../flow/key';
import {
  Frame,
  forgetHeaders,
  moveStart,
  NETWORK_ARP,
  NETWORK_IPV4,
  NETWORK_IPV6,
  NETWORK_MPLS,
} from './frame';
import { isMplsType, MPLS_ENTRY, putBe16, putBe32, setBytes } from './headers';
import { behindTags } from './vlan';

const KEY_ENTRIES: u32 = 3;

/** Bottom of stack, in an entry as loaded. */
const BOTTOM: u32 = 0x00010000;

/** Reads the stack at `offset`. */
export function parseMpls(frame: Frame, key: Key, offset: u32): u32 {
  frame.network = NETWORK_MPLS;
  const stack = frame.data + offset;
  const room = frame.length - offset;
  const entries = changetype<usize>(key) + offsetof<Key>('nwSrc');
  for (let i: u32 = 0; i < KEY_ENTRIES; i++) {
    if (room < (i + 1) * MPLS_ENTRY) return DROP_MPLS_TRUNCATED;
    const entry = load<u32>(stack + i * MPLS_ENTRY);
    store<u32>(entries + i * MPLS_ENTRY, entry);
    if (entry & BOTTOM) break;
  }
  return PARSED;
}

/** Sets the entry that is key bytes `offset` to `offset + 3`, if the stack is so deep. */
export function setMpls(frame: Frame, offset: u32, value: u32, mask: u32): void {
  if (offset < offsetof<Key>('nwSrc')) return;
  const wanted = (offset - offsetof<Key>('nwSrc')) / MPLS_ENTRY;
  if (wanted >= KEY_ENTRIES) return;
  const start = behindTags(frame);
  if (start + (wanted + 1) * MPLS_ENTRY > frame.length) return;
  const stack = frame.data + start;
  for (let i: u32 = 0; i < wanted; i++) if (load<u32>(stack + i * MPLS_ENTRY) & BOTTOM) return;
  setBytes(stack + wanted * MPLS_ENTRY, value, mask);
}

/**
 * Puts a label stack entry behind the tags and the EtherType in front of it, both in host order; false when
 * there is no headroom.
 */
export function pushMpls(frame: Frame, ethType: u32, entry: u32): bool {
  const at = behindTags(frame);
  if (frame.data - frame.base < MPLS_ENTRY || at > frame.length) return false;
  const data = frame.data - MPLS_ENTRY;
  memory.copy(data, frame.data, at);
  moveStart(frame, data);
  putBe16(data + at - 2, ethType);
  putBe32(data + at, entry);
  frame.network = NETWORK_MPLS;
  return true;
}

/** Takes the outermost entry off and says with `ethType`, in host order, what follows; nothing when there is none. */
export function popMpls(frame: Frame, ethType: u32): void {
  const at = behindTags(frame);
  if (at + MPLS_ENTRY > frame.length || !isMplsType(load<u16>(frame.data + at - 2))) return;
  if (<u32>frame.l3 < at + MPLS_ENTRY) forgetHeaders(frame); // popped beyond what was pushed on it
  const data = frame.data + MPLS_ENTRY;
  memory.copy(data, frame.data, at);
  moveStart(frame, data);
  putBe16(data + at - 2, ethType);
  if (isMplsType(bswap<u16>(<u16>ethType))) frame.network = NETWORK_MPLS;
  else if (frame.l3 == at) frame.network = networkAt(data + at);
  else forgetHeaders(frame);
}

/** Which of the headers that can have been read stands here. */
function networkAt(header: usize): u8 {
  const version = load<u8>(header) >>> 4;
  if (version == 4) return NETWORK_IPV4;
  return version == 6 ? NETWORK_IPV6 : NETWORK_ARP;
}
