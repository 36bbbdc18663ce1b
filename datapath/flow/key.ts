/**
 * The flow key: what the switch knows about a packet when it decides its fate. Two cache lines: most packets
 * have only zeros in the second, and most flows match nothing there.
 *
 *      0        2         4        6        8            14           20    21   22   23
 *     ┌────────┬─────────┬────────┬────────┬────────────┬────────────┬─────┬────┬────┬────┐
 *     │ inPort │recircul.│vlanTci │ethType │   ethDst   │   ethSrc   │proto│tos │ttl │frag│
 *     └────────┴─────────┴────────┴────────┴────────────┴────────────┴─────┴────┴────┴────┘
 *      24      26      28        30       32
 *     ┌───────┬───────┬─────────┬────────┬──────────────────────────────────────────────┐
 *     │ tpSrc │ tpDst │tcpFlags │innerTci│ addresses, by ethType (32 bytes, below)      │
 *     └───────┴───────┴─────────┴────────┴──────────────────────────────────────────────┘
 *      64      65        66     68       72      74      76          80
 *     ┌───────┬─────────┬──────┬────────┬───────┬───────┬───────────┬──────────────┐
 *     │ctState│ctNwProto│ctZone│ ctMark │ctTpSrc│ctTpDst│ ipv6Label │ ctLabel (16) │
 *     └───────┴─────────┴──────┴────────┴───────┴───────┴───────────┴──────────────┘
 *      96                     112        118       124
 *     ┌──────────────────────┬──────────┬─────────┬────────┐
 *     │ ndTarget (16)        │  ndSll   │  ndTll  │ unused │   neighbour discovery, which is never tracked
 *     ├──────────────────────┼──────────┴─────────┴────────┤
 *     │ ctSrc (16)           │ ctDst (16)                  │   a packet of a connection
 *     └──────────────────────┴─────────────────────────────┘
 *
 *     IPv4   32 source, 36 destination
 *     IPv6   32 source, 48 destination
 *     ARP    32 sender protocol address, 36 target protocol address,
 *            40 sender hardware address, 46 target hardware address
 *     MPLS   32, 36, 40 the three outermost label stack entries
 *
 * `inPort`, `recirculation`, `ctZone` and `ctMark` are in host order; every other field is in network byte
 * order, copied as it stands in the packet. Bytes that a packet does not have are zero.
 * Addresses of different protocols share their place, so a mask that touches bytes 20 to 63 must also match
 * `ethType`, one that touches the ports or neighbour discovery `nwProto`, and one that touches the addresses
 * or ports of a connection `ctNwProto`.
 *
 * `vlanTci` is zero without a tag; with one, its CFI bit (0x1000) is set and the rest is the tag's.
 * `innerTci` is the same for a second tag. `nwProto` is the IP protocol, or the ARP operation's low byte.
 * ICMP's type and code are `tpSrc` and `tpDst`. `nwFrag` is 0, FRAGMENT_FIRST or FRAGMENT_LATER (a later
 * fragment has no ports). `recirculation` is 0 for a packet as it came in, else the number that the tables
 * gave to the point where they stopped. It stands beside the port because every mask has both.
 *
 * The `ct` fields are zero until the packet has been tracked, so in every packet as it came in. `ctNwProto`,
 * `ctSrc`, `ctDst`, `ctTpSrc` and `ctTpDst` are what the first packet of its connection had, before any
 * translation: an IPv4 address in the first four bytes of its sixteen, ICMP's type and code as in `tpSrc` and
 * `tpDst`. `ctNwProto` is 0 when the packet belongs to no connection.
 */
@unmanaged
export class Key {
  inPort: u16;
  recirculation: u16;
  vlanTci: u16;
  ethType: u16;
  ethDst: u32; // first four bytes; the last two follow
  ethDstLow: u16;
  ethSrc: u16; // first two bytes; the last four follow
  ethSrcLow: u32;
  nwProto: u8;
  nwTos: u8;
  nwTtl: u8;
  nwFrag: u8;
  tpSrc: u16;
  tpDst: u16;
  tcpFlags: u16;
  innerTci: u16;
  nwSrc: u32; // also ipv6Src, the ARP sender address and the outermost MPLS entry
  nwDst: u32;
  arpSha: u32;
  arpShaLow: u16;
  arpTha: u16;
  ipv6Dst: u32; // ARP: the last four bytes of the target hardware address are bytes 48 to 51
  ipv6Dst4: u32;
  ipv6Dst8: u32;
  ipv6Dst12: u32;
  ctState: u8;
  ctNwProto: u8;
  ctZone: u16;
  ctMark: u32;
  ctTpSrc: u16;
  ctTpDst: u16;
  ipv6Label: u32; // twenty bits
  ctLabel: u32; // first of four words
  ctLabel4: u32;
  ctLabel8: u32;
  ctLabel12: u32;
  ndTarget: u32; // first of four words; also ctSrc
  ndTarget4: u32;
  ndTarget8: u32;
  ndTarget12: u32;
  ndSll: u32; // first four bytes; the last two follow; also ctDst
  ndSllLow: u16;
  ndTll: u16; // first two bytes; the last four follow
  ndTllLow: u32;
  ctDst12: u32; // last four bytes of ctDst
}

export const KEY_SIZE: u32 = 128;

/** `vlanTci`: set in the key of every tagged packet. */
export const VLAN_PRESENT: u16 = 0x1000;

/** `nwFrag`, as OVS has it: bit 0 is a fragment, bit 1 not the first one. */
export const FRAGMENT_FIRST: u8 = 1;
export const FRAGMENT_LATER: u8 = 3;
