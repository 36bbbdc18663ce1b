/**
 * A frame being written, from the Ethernet header inwards: `begin` writes the headers down to IP and returns
 * where the transport header goes; after that is written, `seal` puts its checksum.
 */
import type { Address } from './addresses.ts';
import {
  ETHERNET_BYTES,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ETHERTYPE_VLAN,
  fold,
  IPV4_BYTES,
  IPV6_BYTES,
  PROTOCOL_UDP,
  pseudoHeaderSum,
  sumBytes,
  VLAN_BYTES,
  writeIpv6,
  writeMac,
} from './wire.ts';

/** From one of these hosts to somebody: the addresses that every packet between them carries. */
export interface Route {
  localMac: number;
  remoteMac: number;
  readonly local: Address;
  readonly remote: Address;
  readonly protocol: number;
}

const DO_NOT_FRAGMENT = 0x4000;
const HOP_LIMIT = 64;
/** RFC 4861 §7.1: what neighbour discovery is sent with, which no router lets through. */
export const HOP_LIMIT_ON_LINK = 255;

const EMPTY = new Uint8Array(0);

export class FrameWriter {
  bytes: Uint8Array = EMPTY;
  view: DataView = new DataView(EMPTY.buffer);
  /** Where the frame begins in `bytes`. */
  private start = 0;
  private readonly vlan: number;

  /** Every frame is tagged with `vlan`, unless that is 0. */
  constructor(vlan: number) {
    this.vlan = vlan;
  }

  aim(bytes: Uint8Array, offset: number): void {
    if (bytes !== this.bytes) {
      this.bytes = bytes;
      this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    this.start = offset;
  }

  /** Makes this frame the same as the `length` bytes of `frame`. */
  copy(frame: Uint8Array, length: number): void {
    this.bytes.set(frame.subarray(0, length), this.start);
  }

  /** The frame's length when it ends before `end`, a place in `bytes`. */
  lengthUpTo(end: number): number {
    return end - this.start;
  }

  /** Writes the Ethernet header and the tag; returns where the payload goes. */
  beginEthernet(destinationMac: number, sourceMac: number, etherType: number): number {
    const { view, start } = this;
    writeMac(view, start, destinationMac);
    writeMac(view, start + 6, sourceMac);
    if (this.vlan === 0) {
      view.setUint16(start + 12, etherType);
      return start + ETHERNET_BYTES;
    }
    view.setUint16(start + 12, ETHERTYPE_VLAN);
    view.setUint16(start + 14, this.vlan);
    view.setUint16(start + 16, etherType);
    return start + ETHERNET_BYTES + VLAN_BYTES;
  }

  /** Writes all headers of a packet with `length` bytes behind IP; returns where those go. */
  begin(route: Route, length: number, hopLimit = HOP_LIMIT): number {
    const { view } = this;
    const isIpv4 = route.remote.isIpv4;
    const at = this.beginEthernet(route.remoteMac, route.localMac, isIpv4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
    if (isIpv4) {
      view.setUint16(at, 0x4500);
      view.setUint16(at + 2, IPV4_BYTES + length);
      view.setUint32(at + 4, DO_NOT_FRAGMENT); // the identification may be anything then: RFC 6864 §4.1
      view.setUint8(at + 8, hopLimit);
      view.setUint8(at + 9, route.protocol);
      view.setUint16(at + 10, 0);
      view.setInt32(at + 12, route.local.d);
      view.setInt32(at + 16, route.remote.d);
      view.setUint16(at + 10, ~fold(sumBytes(view, at, IPV4_BYTES, 0)));
      return at + IPV4_BYTES;
    }
    view.setUint32(at, 0x60000000);
    view.setUint16(at + 4, length);
    view.setUint8(at + 6, route.protocol);
    view.setUint8(at + 7, hopLimit);
    writeIpv6(view, at + 8, route.local);
    writeIpv6(view, at + 24, route.remote);
    return at + IPV6_BYTES;
  }

  /**
   * Writes the checksum over the `length` bytes at `at` to `at + field`, and returns the frame's length, which
   * ends with them.
   */
  seal(route: Route, at: number, length: number, field: number): number {
    const { view } = this;
    view.setUint16(at + field, 0);
    const pseudo = pseudoHeaderSum(route.local, route.remote, route.protocol, length);
    const checksum = ~fold(sumBytes(view, at, length, pseudo)) & 0xffff;
    // RFC 768: a UDP checksum of zero would mean that there is none.
    view.setUint16(at + field, checksum === 0 && route.protocol === PROTOCOL_UDP ? 0xffff : checksum);
    return this.lengthUpTo(at + length);
  }
}
