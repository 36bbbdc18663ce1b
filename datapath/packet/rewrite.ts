/**
 * Changes header fields in place. The place is named by the flow key: `setWord` gives the header behind
 * four key bytes the value `old & ~mask | value` and keeps every checksum over it right: the IPv4 header's
 * and the transport's (transport-checksum.ts).
 *
 * Only headers that the parser has read are changed; what the frame does not have is left alone.
 */
import { Key } from '../flow/key';
import { setArp } from './arp';
import { Frame, NETWORK_ARP, NETWORK_IPV4, NETWORK_IPV6, NETWORK_MPLS } from './frame';
import { setBytes } from './headers';
import { setIpv4 } from './ipv4';
import { setIpv6 } from './ipv6';
import { setMpls } from './mpls';
import { setNeighbour } from './neighbour';
import { setVlan } from './vlan';

/** Sets key bytes `offset` to `offset + 3`, a multiple of four; `value` has no bits but those of `mask`. */
export function setWord(frame: Frame, offset: u32, value: u32, mask: u32): void {
  if (offset < offsetof<Key>('ethDst')) {
    if (offset == offsetof<Key>('vlanTci')) setVlan(frame, value, mask);
  } else if (offset < offsetof<Key>('nwProto')) {
    setBytes(frame.data + offset - offsetof<Key>('ethDst'), value, mask);
  } else if (offset >= offsetof<Key>('ndTarget')) {
    setNeighbour(frame, offset, value, mask);
  } else {
    const network = frame.network;
    if (network == NETWORK_IPV4) setIpv4(frame, offset, value, mask);
    else if (network == NETWORK_IPV6) setIpv6(frame, offset, value, mask);
    else if (network == NETWORK_ARP) setArp(frame, offset, value, mask);
    else if (network == NETWORK_MPLS) setMpls(frame, offset, value, mask);
  }
}
