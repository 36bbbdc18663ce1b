/**
 * A datagram as one packet, tracked once for all its fragments, which then go on as they came.
 *
 *     fragments   [ headers │ bytes ] [ headers │ bytes ] [ headers │ bytes ]
 *     gather      [ headers │ bytes   bytes   bytes ]     as it was before it was cut
 *     track       its checksum verified, its connection found, addresses and ports translated
 *     scatter     what tracking tells, to all; and what was translated: addresses to each header, bytes to whoever
 *                 has them. So the transport's checksum, in the first, is right for the whole
 *
 * The headers are those of the first fragment: of IPv4 with the length of all (RFC 791 §3.2), of IPv6 without the
 * fragment header (RFC 8200 §4.5). A datagram that a helper has made longer or shorter (ftp.ts) does not fit its fragments
 * any more, and they are dropped.
 */
import { DROP_FRAGMENT_TOO_LONG, DROP_NO_FRAMES } from '../drop';
import { NONE } from '../memory/arena';
import { update } from '../packet/checksum';
import {
  copyHeaders,
  copyTracking,
  FRAME_TRACKED,
  Frame,
  frameAt,
  giveFrame,
  NETWORK_IPV4,
  SHAPE_FRAGMENT,
  takeFrame,
} from '../packet/frame';
import { be16, IPV4_FRAGMENT_OFFSET, IPV4_MORE_FRAGMENTS, IPV6_HEADER, putBe16 } from '../packet/headers';
import { endOf, FRAGMENT_HEADER, fragmentAt } from './fragment';
import { dropFragments } from './fragment-expiry';
import { CtRequest } from './request';
import { CT_DNAT, CT_SNAT, stateIn } from './state';
import { track } from './track';
import { setAddresses } from './translate';

/** What a length field can say: of IPv4 with its header, of IPv6 without. */
const LONGEST: u32 = 65535;

/**
 * Tracks the datagram whose fragments begin with frame `first` (track.ts). False: it cannot be one packet, and its
 * fragments are dropped.
 */
export function trackDatagram(first: u32, request: CtRequest, label: usize, nat: usize): bool {
  const headers = headersOf(first);
  const length = lengthOf(first);
  const uncounted: u32 = frameAt(first).network == NETWORK_IPV4 ? 0 : IPV6_HEADER;
  const network = headers - <u32>frameAt(first).l3 + length;
  if (network - uncounted > LONGEST) return give(first, DROP_FRAGMENT_TOO_LONG);
  const number = takeFrame(headers + length);
  if (number == NONE) return give(first, DROP_NO_FRAMES);
  const whole = frameAt(number);
  gather(whole, first, headers);
  setNetwork(whole, first, network);
  track(whole, request, label, nat);
  const fits = whole.length == headers + length;
  if (fits) scatter(whole, first, headers, <u16>request.zone);
  giveFrame(number);
  return fits || give(first, DROP_FRAGMENT_TOO_LONG);
}

/** Gives all its fragments up. False. */
function give(first: u32, reason: u32): bool {
  dropFragments(first + 1, reason);
  return false;
}

/** Bytes in front of the datagram's own. */
function headersOf(first: u32): u32 {
  const payload = <u32>fragmentAt(first).payload;
  return frameAt(first).network == NETWORK_IPV4 ? payload : payload - FRAGMENT_HEADER;
}

/** Bytes of the datagram. */
function lengthOf(first: u32): u32 {
  let fragment = fragmentAt(first);
  while (fragment.next != 0) fragment = fragmentAt(fragment.next - 1);
  return endOf(fragment);
}

/** Puts the first fragment's `headers` and the bytes of all together. */
function gather(whole: Frame, first: u32, headers: u32): void {
  const from = frameAt(first);
  memory.copy(whole.data, from.data, headers);
  for (let at = first + 1; at != 0; at = fragmentAt(at - 1).next) {
    const fragment = fragmentAt(at - 1);
    const bytes = frameAt(at - 1).data + fragment.payload;
    memory.copy(whole.data + headers + fragment.start, bytes, fragment.length);
    whole.length = headers + endOf(fragment);
  }
  if (from.flags & FRAME_TRACKED) copyTracking(whole, from);
  copyHeaders(whole, from);
}

/** Makes the network header, of which so many bytes are the packet, that of one that was not cut. */
function setNetwork(whole: Frame, first: u32, length: u32): void {
  const ip = whole.data + whole.l3;
  if (whole.network == NETWORK_IPV4) {
    const total = load<u32>(ip);
    const field = load<u32>(ip, 4);
    putBe16(ip + 2, length);
    putBe16(ip + 6, be16(ip + 6) & ~(IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET));
    update(ip + 10, total, load<u32>(ip));
    update(ip + 10, field, load<u32>(ip, 4));
  } else {
    const fragment = fragmentAt(first);
    const next = load<u8>(frameAt(first).data + fragment.payload - FRAGMENT_HEADER);
    store<u8>(whole.data + fragment.link, next);
    putBe16(ip + 4, length - IPV6_HEADER);
    if (whole.l4 != 0) whole.l4 -= <u16>FRAGMENT_HEADER;
  }
  if (whole.l4 != 0) whole.shape &= ~SHAPE_FRAGMENT; // else it is in pieces still, inside
}

/** Tells the fragments what became of the whole, whose `headers` are so long, in `zone`. */
function scatter(whole: Frame, first: u32, headers: u32, zone: u16): void {
  const isTranslated = (stateIn(whole, zone) & (CT_SNAT | CT_DNAT)) != 0;
  for (let at = first + 1; at != 0; at = fragmentAt(at - 1).next) {
    const frame = frameAt(at - 1);
    copyTracking(frame, whole);
    if (!isTranslated) continue;
    const fragment = fragmentAt(at - 1);
    const ip = whole.data + whole.l3;
    if (whole.network == NETWORK_IPV4) setAddresses(frame, ip + 12, ip + 16);
    else setAddresses(frame, ip + 8, ip + 24);
    memory.copy(frame.data + fragment.payload, whole.data + headers + fragment.start, fragment.length);
  }
}
