/**
 * A fragment as its own headers tell of it: which datagram it is of, and which bytes of that it has.
 *
 *     IPv4   Ethernet │ IP, options                    │ bytes start … start + length
 *     IPv6   Ethernet │ IP, extensions │ fragment hdr. │ bytes start … start + length
 *                                ↑ link                 ↑ payload
 *
 * One record for each frame, beside the frame's own: it says something while the frame is held for its datagram or has
 * just been taken from there, and belongs to whoever has the frame. `next` joins the fragments of a datagram in the order
 * of their bytes.
 *
 * A datagram is named by its addresses and identification, over IPv4 by its protocol too (RFC 791 §3.2, RFC 8200
 * §4.5); and by the zone in which it is to be tracked. The identification stands where a tuple has ports. The same
 * datagram on two ways through the tables is two (Datagram.recirculation).
 */
import { map } from '../memory/arena';
import { fold, sum } from '../packet/checksum';
import { Frame, frameAt, NETWORK_IPV4 } from '../packet/frame';
import {
  be16,
  IPV4_FRAGMENT_OFFSET,
  IPV4_MORE_FRAGMENTS,
  IPV6_HEADER,
  PROTO_FRAGMENT,
} from '../packet/headers';
import { extensionLength, IPV6_FRAGMENT_OFFSET, IPV6_MORE_FRAGMENTS } from '../packet/ipv6';
import { setName, Tuple } from './tuple';

@unmanaged
export class Fragment {
  next: u32; // number + 1; 0: none
  start: u16;
  length: u16;
  payload: u16; // where its bytes begin, from the frame's data
  link: u16; // IPv6: where the byte is that announces the fragment header
  isLast: bool;
}

export const FRAGMENT_STRIDE: u32 = 16;

/** Bytes of IPv6's fragment header, right before the payload (RFC 8200 §4.5). */
export const FRAGMENT_HEADER: u32 = 8;

export function fragmentAt(number: u32): Fragment {
  return changetype<Fragment>(map.fragments + <usize>(number * FRAGMENT_STRIDE));
}

/** Behind its last byte. */
export function endOf(fragment: Fragment): u32 {
  return <u32>fragment.start + fragment.length;
}

/**
 * Reads the headers of frame `number`, which the parser calls a fragment, and names its datagram. False: its IP header
 * is damaged, or it has bytes of a number that no fragment has (RFC 8200 §4.5).
 */
export function readFragment(number: u32, zone: u16, name: Tuple): bool {
  const frame = frameAt(number);
  const fragment = fragmentAt(number);
  fragment.next = 0;
  name.l3 = frame.network;
  name.zone = zone;
  const isRead =
    frame.network == NETWORK_IPV4 ? readIpv4(frame, fragment, name) : readIpv6(frame, fragment, name);
  return isRead && fragment.length != 0 && (fragment.isLast || (fragment.length & 7) == 0);
}

function readIpv4(frame: Frame, fragment: Fragment, name: Tuple): bool {
  const ip = frame.data + frame.l3;
  const header = (<u32>load<u8>(ip) & 15) << 2;
  const field = be16(ip + 6);
  fragment.start = <u16>((field & IPV4_FRAGMENT_OFFSET) << 3);
  fragment.isLast = !(field & IPV4_MORE_FRAGMENTS);
  fragment.payload = frame.l3 + <u16>header;
  fragment.length = <u16>(be16(ip + 2) - header);
  v128.store(changetype<usize>(name), v128.load_zero<u32>(ip, 12));
  v128.store(changetype<usize>(name), v128.load_zero<u32>(ip, 16), 16);
  name.proto = load<u8>(ip, 9);
  setName(name, <u32>load<u16>(ip, 4));
  return fold(sum(ip, header)) == 0xffff;
}

/** Steps over what precedes the fragment header, which is there, as the parser did (ipv6.ts). */
function readIpv6(frame: Frame, fragment: Fragment, name: Tuple): bool {
  const ip = frame.data + frame.l3;
  let link = ip + 6;
  let header = ip + IPV6_HEADER;
  while (!isCut(link, header)) {
    const length = extensionLength(load<u8>(link), header);
    link = header;
    header += length;
  }
  const field = be16(header + 2);
  fragment.start = <u16>(field & IPV6_FRAGMENT_OFFSET);
  fragment.isLast = !(field & IPV6_MORE_FRAGMENTS);
  fragment.payload = <u16>(header + FRAGMENT_HEADER - frame.data);
  fragment.length = <u16>(ip + IPV6_HEADER + be16(ip + 4) - (header + FRAGMENT_HEADER));
  fragment.link = <u16>(link - frame.data);
  v128.store(changetype<usize>(name), v128.load(ip, 8));
  v128.store(changetype<usize>(name), v128.load(ip, 24), 16);
  name.proto = 0;
  setName(name, load<u32>(header, 4));
  return true;
}

/** Whether the header that `link` announces is a fragment's, and not of a packet in one piece (RFC 6946). */
function isCut(link: usize, header: usize): bool {
  return (
    load<u8>(link) == PROTO_FRAGMENT && (be16(header + 2) & (IPV6_FRAGMENT_OFFSET | IPV6_MORE_FRAGMENTS)) != 0
  );
}
