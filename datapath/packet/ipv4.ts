/** IPv4 (RFC 791 §3.1). Options are stepped over. */
import { DROP_IPV4_BAD_LENGTH, DROP_IPV4_BAD_VERSION, DROP_IPV4_TRUNCATED, PARSED } from '../drop';
import { FRAGMENT_FIRST, FRAGMENT_LATER, Key } from '../flow/key';
import { update } from './checksum';
import { Frame, NETWORK_IPV4, SHAPE_FRAGMENT } from './frame';
import { be16, IPV4_FRAGMENT_OFFSET, IPV4_HEADER, IPV4_MORE_FRAGMENTS, PROTO_ICMP } from './headers';
import { parseTransport, setPorts } from './transport';
import { updatePseudoHeader } from './transport-checksum';

const CHECKSUM: usize = 10;

/** Reads the header at `offset` and what it carries. */
export function parseIpv4(frame: Frame, key: Key, offset: u32): u32 {
  const room = frame.length - offset;
  if (room < IPV4_HEADER) return DROP_IPV4_TRUNCATED;
  const ip = frame.data + offset;
  const first = <u32>load<u8>(ip);
  const header = (first & 15) << 2;
  if (first >>> 4 != 4 || header < IPV4_HEADER) return DROP_IPV4_BAD_VERSION;
  if (header > room) return DROP_IPV4_TRUNCATED;
  const total = be16(ip + 2);
  if (total < header || total > room) return DROP_IPV4_BAD_LENGTH;
  frame.network = NETWORK_IPV4;
  frame.l3 = <u16>offset;
  key.nwTos = load<u8>(ip + 1);
  key.nwTtl = load<u8>(ip + 8);
  const protocol = load<u8>(ip + 9);
  key.nwProto = protocol;
  store<u64>(changetype<usize>(key) + offsetof<Key>('nwSrc'), load<u64>(ip + 12));

  const fragment = be16(ip + 6) & (IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET);
  if (fragment != 0) {
    frame.shape = SHAPE_FRAGMENT;
    key.nwFrag = fragment & IPV4_FRAGMENT_OFFSET ? FRAGMENT_LATER : FRAGMENT_FIRST;
    if (key.nwFrag == FRAGMENT_LATER) return PARSED;
  }
  frame.l4 = <u16>(offset + header);
  return parseTransport(frame, key, protocol, PROTO_ICMP, ip + header, total - header);
}

/** Sets key bytes `offset` on, and the checksums over them. */
export function setIpv4(frame: Frame, offset: u32, value: u32, mask: u32): void {
  const ip = frame.data + frame.l3;
  if (offset == offsetof<Key>('nwProto')) {
    setHeaderWord(ip, ip, value & 0xff00, mask & 0xff00); // key byte 21 is header byte 1
    setHeaderWord(ip, ip + 8, (value >>> 16) & 0xff, (mask >>> 16) & 0xff); // key byte 22 is byte 8
  } else if (offset == offsetof<Key>('tpSrc')) {
    setPorts(frame, value, mask);
  } else if (offset == offsetof<Key>('nwSrc') || offset == offsetof<Key>('nwDst')) {
    const at = ip + 12 + offset - offsetof<Key>('nwSrc');
    const before = load<u32>(at);
    setHeaderWord(ip, at, value, mask);
    updatePseudoHeader(frame, before, load<u32>(at));
  }
}

/** Sets four bytes of the header and its checksum. */
function setHeaderWord(ip: usize, at: usize, value: u32, mask: u32): void {
  const before = load<u32>(at);
  const after = (before & ~mask) | value;
  store<u32>(at, after);
  if (before != after) update(ip + CHECKSUM, before, after);
}
