/** ARP (RFC 826) and RARP (RFC 903), which differ in the EtherType alone. */
import { DROP_ARP_TRUNCATED, PARSED } from '../drop';
import { Key } from '../flow/key';
import { Frame, NETWORK_ARP } from './frame';
import { ARP_LENGTH, setBytes } from './headers';

/** Reads the packet at `offset`. Other hardware and protocols than Ethernet and IPv4 are not looked into. */
export function parseArp(frame: Frame, key: Key, offset: u32): u32 {
  if (frame.length - offset < ARP_LENGTH) return DROP_ARP_TRUNCATED;
  const arp = frame.data + offset;
  if (load<u32>(arp) != 0x00080100 || load<u16>(arp + 4) != 0x0406) return PARSED;
  frame.network = NETWORK_ARP;
  frame.l3 = <u16>offset;
  const at = changetype<usize>(key);
  key.nwProto = load<u8>(arp + 7);
  store<u32>(at + offsetof<Key>('arpSha'), load<u32>(arp + 8));
  store<u16>(at + offsetof<Key>('arpShaLow'), load<u16>(arp + 12));
  store<u32>(at + offsetof<Key>('nwSrc'), load<u32>(arp + 14));
  store<u16>(at + offsetof<Key>('arpTha'), load<u16>(arp + 18));
  store<u32>(at + offsetof<Key>('ipv6Dst'), load<u32>(arp + 20));
  store<u32>(at + offsetof<Key>('nwDst'), load<u32>(arp + 24));
  return PARSED;
}

/** Sets key bytes `offset` on. The protocol addresses are words of the key; the hardware ones lie across three. */
export function setArp(frame: Frame, offset: u32, value: u32, mask: u32): void {
  const arp = frame.data + frame.l3;
  if (offset == offsetof<Key>('nwProto')) setBytes(arp + 4, value << 24, mask << 24);
  else if (offset == offsetof<Key>('nwSrc')) setBytes(arp + 14, value, mask);
  else if (offset == offsetof<Key>('nwDst')) setBytes(arp + 24, value, mask);
  else if (offset == offsetof<Key>('arpSha')) setBytes(arp + 8, value, mask);
  else if (offset == offsetof<Key>('arpShaLow')) {
    setBytes(arp + 12, value & 0xffff, mask & 0xffff);
    setBytes(arp + 16, value & 0xffff0000, mask & 0xffff0000);
  } else if (offset == offsetof<Key>('ipv6Dst')) setBytes(arp + 20, value, mask);
}
