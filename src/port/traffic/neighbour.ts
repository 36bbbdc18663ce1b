/**
 * Neighbour discovery (RFC 4861): the solicitation that asks for a hardware address and the advertisement that
 * answers it. Both are ICMPv6, with a target address and a link-layer address as an option:
 *
 *     0      1      2          4        8           24     25       26
 *     type   code   checksum   flags    target      kind   length   link-layer address …
 */
import { Address } from './addresses.ts';
import type { FrameReader } from './reader.ts';
import { PROTOCOL_ICMPV6, readIpv6, readMac, writeIpv6, writeMac } from './wire.ts';
import { type FrameWriter, HOP_LIMIT_ON_LINK, type Route } from './writer.ts';

const NEIGHBOUR_SOLICITATION = 135;
const NEIGHBOUR_ADVERTISEMENT = 136;

const OPTIONS_AT = 24;
const SOURCE_LINK_LAYER = 1;
const TARGET_LINK_LAYER = 2;
const BYTES = OPTIONS_AT + 8;
const CHECKSUM_FIELD = 2;

export const SOLICITED = 0x40000000;
export const OVERRIDE = 0x20000000;

export const ALL_NODES = new Address().set(0xff020000 | 0, 0, 0, 1);
export const ALL_NODES_MAC = 0x333300000001;
export const UNSPECIFIED = new Address();

/** Whether the ICMP message of a packet is one of these two. */
export function isNeighbourMessage({ view, transportAt, protocol }: FrameReader): boolean {
  const type = view.getUint8(transportAt);
  return (
    protocol === PROTOCOL_ICMPV6 && (type === NEIGHBOUR_SOLICITATION || type === NEIGHBOUR_ADVERTISEMENT)
  );
}

/** A message in a received packet. */
export class NeighbourMessage {
  isSolicitation = false;
  readonly target = new Address();
  /** What the target link-layer address option says; -1 without it. */
  targetMac = -1;

  /** Whether it is valid (RFC 4861 §7.1), apart from its checksum. */
  read({ view, transportAt: at, transportLength, end, hopLimit }: FrameReader): boolean {
    if (hopLimit !== HOP_LIMIT_ON_LINK || transportLength < OPTIONS_AT || view.getUint8(at + 1) !== 0)
      return false;
    this.isSolicitation = view.getUint8(at) === NEIGHBOUR_SOLICITATION;
    readIpv6(view, at + 8, this.target);
    this.targetMac = -1;
    for (let option = at + OPTIONS_AT; option < end; ) {
      const length = option + 1 < end ? view.getUint8(option + 1) * 8 : 0;
      if (length === 0 || option + length > end) return false;
      if (view.getUint8(option) === TARGET_LINK_LAYER) this.targetMac = readMac(view, option + 2);
      option += length;
    }
    return true;
  }
}

/** Asks everybody who may be `target` for its hardware address. */
export function writeSolicitation(
  frame: FrameWriter,
  localMac: number,
  local: Address,
  target: Address,
): number {
  const low = target.d & 0xffffff;
  const route: Route = {
    localMac,
    remoteMac: 0x3333ff000000 + low, // RFC 2464 §7
    local,
    remote: new Address().set(0xff020000 | 0, 0, 1, 0xff000000 | low), // RFC 4291 §2.7.1
    protocol: PROTOCOL_ICMPV6,
  };
  return write(frame, route, NEIGHBOUR_SOLICITATION, 0, target, SOURCE_LINK_LAYER);
}

/** Says that `route.localMac` is the hardware address of `target`. */
export const writeAdvertisement = (
  frame: FrameWriter,
  route: Route,
  flags: number,
  target: Address,
): number => write(frame, route, NEIGHBOUR_ADVERTISEMENT, flags, target, TARGET_LINK_LAYER);

function write(
  frame: FrameWriter,
  route: Route,
  type: number,
  flags: number,
  target: Address,
  option: number,
): number {
  const at = frame.begin(route, BYTES, HOP_LIMIT_ON_LINK);
  const { view } = frame;
  view.setUint16(at, type << 8);
  view.setUint32(at + 4, flags);
  writeIpv6(view, at + 8, target);
  view.setUint16(at + OPTIONS_AT, (option << 8) | 1);
  writeMac(view, at + OPTIONS_AT + 2, route.localMac);
  return frame.seal(route, at, BYTES, CHECKSUM_FIELD);
}
