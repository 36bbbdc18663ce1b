/** ARP for IPv4 over Ethernet (RFC 826): reading and writing its one message, of 28 bytes. */
import type { FrameReader } from './reader.ts';
import { ETHERTYPE_ARP, ETHERTYPE_IPV4, readMac, writeMac } from './wire.ts';
import type { FrameWriter } from './writer.ts';

export const ARP_REQUEST = 1;
export const ARP_REPLY = 2;

const BYTES = 28;
const ETHERNET = 1;
const ADDRESS_LENGTHS = 0x0604;

/** Who says or asks what; IPv4 addresses are signed 32-bit numbers. */
export class ArpMessage {
  operation = 0;
  senderMac = 0;
  senderIpv4 = 0;
  targetMac = 0;
  targetIpv4 = 0;

  /** Whether the frame has a message of the kind that IPv4 over Ethernet uses. */
  read({ view, networkAt: at, end }: FrameReader): boolean {
    if (end - at < BYTES) return false;
    if (view.getUint16(at) !== ETHERNET || view.getUint16(at + 2) !== ETHERTYPE_IPV4) return false;
    if (view.getUint16(at + 4) !== ADDRESS_LENGTHS) return false;
    this.operation = view.getUint16(at + 6);
    this.senderMac = readMac(view, at + 8);
    this.senderIpv4 = view.getInt32(at + 14);
    this.targetMac = readMac(view, at + 18);
    this.targetIpv4 = view.getInt32(at + 24);
    return true;
  }

  /** Writes the frame that carries the message to `destinationMac`; returns its length. */
  write(frame: FrameWriter, destinationMac: number): number {
    const at = frame.beginEthernet(destinationMac, this.senderMac, ETHERTYPE_ARP);
    const { view } = frame;
    view.setUint16(at, ETHERNET);
    view.setUint16(at + 2, ETHERTYPE_IPV4);
    view.setUint16(at + 4, ADDRESS_LENGTHS);
    view.setUint16(at + 6, this.operation);
    writeMac(view, at + 8, this.senderMac);
    view.setInt32(at + 14, this.senderIpv4);
    writeMac(view, at + 18, this.targetMac);
    view.setInt32(at + 24, this.targetIpv4);
    return frame.lengthUpTo(at + BYTES);
  }
}
