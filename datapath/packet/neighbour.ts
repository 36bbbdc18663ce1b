/**
 * Neighbour discovery: solicitations and advertisements (RFC 4861 §4.3, §4.4).
 *
 *      0          4          8                     24
 *     ┌──────────┬──────────┬─────────────────────┬──────────────────────────────┬───
 *     │ ICMPv6   │ flags    │ target              │ type, length, address: 8     │ …   options
 *     └──────────┴──────────┴─────────────────────┴──────────────────────────────┴───
 *
 * An option of no length, one that ends beyond the packet, and a link-layer address that is said twice make
 * the packet malformed: hosts must not or need not take it (§4.6, §7.1), and Open vSwitch, which lets it pass,
 * cannot say whose address it claims.
 */
import { DROP_ND_BAD_OPTION, DROP_ND_TRUNCATED, PARSED } from '../drop';
import { Key } from '../flow/key';
import { Frame } from './frame';
import { ND_HEADER, PROTO_ICMPV6 } from './headers';
import { setCovered, transportLength } from './transport-checksum';

const SOLICITATION: u16 = 135;
const ADVERTISEMENT: u16 = 136;
const TARGET: u32 = 8;

/** Option types (§4.6.1), and the length of either for Ethernet (RFC 2464 §6). */
const SOURCE_ADDRESS: u8 = 1;
const TARGET_ADDRESS: u8 = 2;
const ADDRESS_OPTION: u32 = 8;

/** Whether the ICMPv6 header at `l4` begins such a message: its type, and code 0. */
export function isNeighbour(l4: usize): bool {
  const typeAndCode = load<u16>(l4);
  return typeAndCode == SOLICITATION || typeAndCode == ADVERTISEMENT;
}

/** Reads the message of `room` bytes at `l4`: its target, and the link-layer addresses among its options. */
export function parseNeighbour(key: Key, l4: usize, room: u32): u32 {
  if (room < ND_HEADER) return DROP_ND_TRUNCATED;
  const at = changetype<usize>(key);
  v128.store(at + offsetof<Key>('ndTarget'), v128.load(l4 + TARGET));
  let seen: u32 = 0;
  let length: u32 = 0;
  for (let offset = ND_HEADER; offset < room; offset += length) {
    const option = l4 + offset;
    length = optionLength(option, room - offset);
    if (length == 0) return DROP_ND_BAD_OPTION;
    const kind = addressKind(option, length);
    if (kind == 0) continue;
    if ((seen >>> kind) & 1) return DROP_ND_BAD_OPTION;
    seen |= 1 << kind;
    const field = at + (kind == SOURCE_ADDRESS ? offsetof<Key>('ndSll') : offsetof<Key>('ndTll'));
    store<u32>(field, load<u32>(option, 2));
    store<u16>(field, load<u16>(option, 6), 4);
  }
  return PARSED;
}

/** Bytes of the option, of which `room` are there; 0 when it is malformed. */
function optionLength(option: usize, room: u32): u32 {
  if (room < ADDRESS_OPTION) return 0;
  const length = (<u32>load<u8>(option, 1)) << 3;
  return length <= room ? length : 0;
}

/** SOURCE_ADDRESS or TARGET_ADDRESS if the option has that for Ethernet, else 0. */
function addressKind(option: usize, length: u32): u8 {
  const kind = load<u8>(option);
  return length == ADDRESS_OPTION && (kind == SOURCE_ADDRESS || kind == TARGET_ADDRESS) ? kind : 0;
}

/** Sets key bytes `offset` on, and the checksum. An address whose option is not there is not added. */
export function setNeighbour(frame: Frame, offset: u32, value: u32, mask: u32): void {
  const l4 = frame.data + frame.l4;
  if (frame.transport != PROTO_ICMPV6 || !isNeighbour(l4) || transportLength(frame) < ND_HEADER) return;
  if (offset < offsetof<Key>('ndSll')) {
    setCovered(frame, l4 + TARGET + offset - offsetof<Key>('ndTarget'), value, mask);
  } else if (offset == offsetof<Key>('ndSll')) {
    setInOption(frame, SOURCE_ADDRESS, 2, value, mask);
  } else if (offset == offsetof<Key>('ndSllLow')) {
    // The last two bytes of one, the first two of the other.
    setInOption(frame, SOURCE_ADDRESS, 4, value << 16, mask << 16);
    setInOption(frame, TARGET_ADDRESS, 2, value >>> 16, mask >>> 16);
  } else if (offset == offsetof<Key>('ndTllLow')) {
    setInOption(frame, TARGET_ADDRESS, 4, value, mask);
  }
}

/** Sets four bytes of the option with the address of that kind, if there is one. */
function setInOption(frame: Frame, kind: u8, place: u32, value: u32, mask: u32): void {
  const l4 = frame.data + frame.l4;
  const room = transportLength(frame);
  let length: u32 = 0;
  for (let offset = ND_HEADER; offset < room; offset += length) {
    length = optionLength(l4 + offset, room - offset);
    if (length == 0) return;
    if (addressKind(l4 + offset, length) == kind) return setCovered(frame, l4 + offset + place, value, mask);
  }
}
