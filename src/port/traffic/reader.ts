/**
 * A received frame, read in place. One reader is aimed at frame after frame, so that reading makes no garbage;
 * whoever keeps something of a frame copies it.
 */
import { Address } from './addresses.ts';
import type { Fault } from './statistics.ts';
import {
  ETHERNET_BYTES,
  ETHERTYPE_IPV4,
  ETHERTYPE_VLAN,
  fold,
  GROUP_BIT,
  IPV4_BYTES,
  IPV6_BYTES,
  PROTOCOL_UDP,
  pseudoHeaderSum,
  readIpv6,
  readMac,
  sumBytes,
  VLAN_BYTES,
} from './wire.ts';

const EMPTY = new Uint8Array(0);

export class FrameReader {
  bytes: Uint8Array = EMPTY;
  view: DataView = new DataView(EMPTY.buffer);

  // Set by `readEthernet`.
  destinationMac = 0;
  sourceMac = 0;
  /** 0 without a tag, or with one that carries a priority only. */
  vlan = 0;
  etherType = 0;
  /** Where the network header begins, in `bytes`. */
  networkAt = 0;
  /** Behind the frame's last byte. */
  end = 0;

  // Set by `readIp`. `end` then is behind the packet's last byte, without Ethernet's padding.
  readonly source = new Address();
  readonly destination = new Address();
  protocol = 0;
  hopLimit = 0;
  /** Where the transport header begins. */
  transportAt = 0;

  /** Bytes of the transport header and what follows. */
  get transportLength(): number {
    return this.end - this.transportAt;
  }

  readEthernet(bytes: Uint8Array, offset: number, length: number): Fault | undefined {
    if (bytes !== this.bytes) {
      this.bytes = bytes;
      this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    const { view } = this;
    if (length < ETHERNET_BYTES || offset + length > bytes.length) return 'framesMalformed';
    if (bytes[offset + 6] & GROUP_BIT) return 'framesMalformed'; // nobody sends from a group address
    this.destinationMac = readMac(view, offset);
    this.sourceMac = readMac(view, offset + 6);
    this.etherType = view.getUint16(offset + 12);
    this.networkAt = offset + ETHERNET_BYTES;
    this.end = offset + length;
    this.vlan = 0;
    if (this.etherType === ETHERTYPE_VLAN) {
      if (length < ETHERNET_BYTES + VLAN_BYTES) return 'framesMalformed';
      this.vlan = view.getUint16(offset + 14) & 0xfff;
      this.etherType = view.getUint16(offset + 16);
      this.networkAt += VLAN_BYTES;
    }
    return undefined;
  }

  /** Reads the IPv4 or IPv6 header, whichever the Ethernet type says. */
  readIp(): Fault | undefined {
    return this.etherType === ETHERTYPE_IPV4 ? this.readIpv4() : this.readIpv6();
  }

  private readIpv4(): Fault | undefined {
    const { view, networkAt: at } = this;
    if (this.end - at < IPV4_BYTES) return 'framesMalformed';
    const headerLength = (view.getUint8(at) & 0xf) * 4;
    const totalLength = view.getUint16(at + 2);
    if (view.getUint8(at) >> 4 !== 4 || headerLength < IPV4_BYTES) return 'framesMalformed';
    if (totalLength < headerLength || at + totalLength > this.end) return 'framesMalformed';
    if (fold(sumBytes(view, at, headerLength, 0)) !== 0xffff) return 'checksumsBad';
    const isFragment = (view.getUint16(at + 6) & 0x3fff) !== 0;
    if (isFragment) return 'framesIgnored';
    this.hopLimit = view.getUint8(at + 8);
    this.protocol = view.getUint8(at + 9);
    this.source.setIpv4(view.getInt32(at + 12));
    this.destination.setIpv4(view.getInt32(at + 16));
    this.transportAt = at + headerLength;
    this.end = at + totalLength;
    return undefined;
  }

  private readIpv6(): Fault | undefined {
    const { view, networkAt: at } = this;
    if (this.end - at < IPV6_BYTES || view.getUint8(at) >> 4 !== 6) return 'framesMalformed';
    const end = at + IPV6_BYTES + view.getUint16(at + 4);
    if (end > this.end) return 'framesMalformed';
    this.protocol = view.getUint8(at + 6);
    this.hopLimit = view.getUint8(at + 7);
    readIpv6(view, at + 8, this.source);
    readIpv6(view, at + 24, this.destination);
    // On the wire a mapped address is a forgery of the IPv4 one (RFC 6890 §2.2.3).
    if (this.source.isIpv4 || this.destination.isIpv4) return 'framesMalformed';
    this.transportAt = at + IPV6_BYTES;
    this.end = end;
    return undefined;
  }

  /** Whether the transport checksum is right. The header must be there, up to that field. */
  checksumHolds(): boolean {
    const { view, transportAt, transportLength } = this;
    const isUnused = this.protocol === PROTOCOL_UDP && view.getUint16(transportAt + 6) === 0;
    // RFC 768: over IPv4 the sender may leave it out; RFC 8200 §8.1: over IPv6 not.
    if (isUnused) return this.source.isIpv4;
    const pseudo = pseudoHeaderSum(this.source, this.destination, this.protocol, transportLength);
    return fold(sumBytes(view, transportAt, transportLength, pseudo)) === 0xffff;
  }
}
