/**
 * Protocols: their numbers, their short names in a match, and what a packet must be to have a field.
 */
export const ETH_IPV4 = 0x0800;
export const ETH_IPV6 = 0x86dd;
export const ETH_MPLS = 0x8847;
export const ETH_MPLS_MULTICAST = 0x8848;
const ETH_ARP = 0x0806;
const ETH_RARP = 0x8035;

export const TCP = 6;
export const UDP = 17;
export const SCTP = 132;
export const ICMP = 1;
export const ICMPV6 = 58;
const SOLICITATION = 135;
const ADVERTISEMENT = 136;

/** What kind of packet it is, as far as that is known: this decides what its other bytes are. */
export interface PacketKind {
  readonly ethType: number | undefined;
  readonly nwProto: number | undefined;
  readonly icmpType: number | undefined;
  /** It belongs to a connection, whose first packet is known. */
  readonly hasConnection: boolean;
}

/** What a packet must be to have a field: of each kind that is given, one of these. */
export interface Prerequisite {
  /** As one would write it in a match. */
  readonly name: string;
  readonly onConnection?: boolean;
  readonly ethTypes?: readonly number[];
  readonly protocols?: readonly number[];
  /** Of ICMPv6, with code 0. */
  readonly icmpTypes?: readonly number[];
}

const needs = (name: string, ethTypes: readonly number[], ...protocols: number[]) =>
  protocols.length > 0 ? { name, ethTypes, protocols } : { name, ethTypes };

export const ON_IPV4 = needs('ip', [ETH_IPV4]);
export const ON_IPV6 = needs('ipv6', [ETH_IPV6]);
export const ON_IP = needs('ip or ipv6', [ETH_IPV4, ETH_IPV6]);
export const ON_ARP = needs('arp or rarp', [ETH_ARP, ETH_RARP]);
export const ON_MPLS = needs('mpls or mplsm', [ETH_MPLS, ETH_MPLS_MULTICAST]);
export const ON_TCP = needs('tcp or tcp6', ON_IP.ethTypes, TCP);
export const ON_UDP = needs('udp or udp6', ON_IP.ethTypes, UDP);
export const ON_SCTP = needs('sctp or sctp6', ON_IP.ethTypes, SCTP);
/** Whichever transport protocol the packet has: what `mod_tp_src` and `mod_tp_dst` set. */
export const ON_TRANSPORT = needs('tcp, udp or sctp', ON_IP.ethTypes, TCP, UDP, SCTP);
export const ON_ICMP = needs('icmp', ON_IPV4.ethTypes, ICMP);
export const ON_ICMPV6 = needs('icmp6', ON_IPV6.ethTypes, ICMPV6);
export const ON_ND: Prerequisite = {
  ...ON_ICMPV6,
  name: 'icmp6,icmp_type=135 or 136',
  icmpTypes: [SOLICITATION, ADVERTISEMENT],
};
export const ON_SOLICITATION: Prerequisite = {
  ...ON_ICMPV6,
  name: 'icmp6,icmp_type=135',
  icmpTypes: [SOLICITATION],
};
export const ON_ADVERTISEMENT: Prerequisite = {
  ...ON_ICMPV6,
  name: 'icmp6,icmp_type=136',
  icmpTypes: [ADVERTISEMENT],
};

/** A packet that belongs to a connection. Its state is one that only such packets have. */
const CONNECTED = 'ct_state=+trk-inv, +new or +est';
export const ON_CONNECTION: Prerequisite = { name: CONNECTED, onConnection: true };
export const ON_IPV4_CONNECTION: Prerequisite = {
  ...ON_IPV4,
  name: `ip and ${CONNECTED}`,
  onConnection: true,
};
export const ON_IPV6_CONNECTION: Prerequisite = {
  ...ON_IPV6,
  name: `ipv6 and ${CONNECTED}`,
  onConnection: true,
};

// Bits of ct_state.
const INVALID = 0x10;
const TRACKED = 0x20;
const IN_CONNECTION = 0xcf; // new, established, related, reply, with another source or destination

/** Whether a state, of which the bits of `mask` are known, is that of a packet that belongs to a connection. */
export const saysConnection = (state: number, mask: number): boolean =>
  (state & IN_CONNECTION) !== 0 || ((state & TRACKED) !== 0 && (mask & ~state & INVALID) !== 0);

/** Whether a state is that of a packet that cannot belong to one. */
export const saysInvalid = (state: number): boolean => (state & INVALID) !== 0;

const includes = (wanted: readonly number[] | undefined, number: number | undefined): boolean =>
  !wanted || (number !== undefined && wanted.includes(number));

/** Whether a packet, or a match that pins these, has what is required. */
export function meets(requires: Prerequisite | undefined, kind: PacketKind): boolean {
  if (!requires) return true;
  // Neighbour discovery is never tracked.
  if (requires.onConnection && (!kind.hasConnection || meets(ON_ND, kind))) return false;
  return (
    includes(requires.ethTypes, kind.ethType) &&
    includes(requires.protocols, kind.nwProto) &&
    includes(requires.icmpTypes, kind.icmpType)
  );
}

/** A protocol's short name stands for an Ethernet type and an IP protocol; the first is the printed one. */
export interface Protocol {
  readonly names: readonly string[];
  readonly ethType: number;
  readonly nwProto?: number;
}

export const PROTOCOLS: readonly Protocol[] = [
  { names: ['ip', 'ipv4', 'ip4'], ethType: ETH_IPV4 },
  { names: ['ipv6', 'ip6'], ethType: ETH_IPV6 },
  { names: ['arp'], ethType: ETH_ARP },
  { names: ['rarp'], ethType: ETH_RARP },
  { names: ['mpls'], ethType: ETH_MPLS },
  { names: ['mplsm'], ethType: ETH_MPLS_MULTICAST },
  { names: ['icmp'], ethType: ETH_IPV4, nwProto: ICMP },
  { names: ['icmp6'], ethType: ETH_IPV6, nwProto: ICMPV6 },
  { names: ['tcp'], ethType: ETH_IPV4, nwProto: TCP },
  { names: ['tcp6'], ethType: ETH_IPV6, nwProto: TCP },
  { names: ['udp'], ethType: ETH_IPV4, nwProto: UDP },
  { names: ['udp6'], ethType: ETH_IPV6, nwProto: UDP },
  { names: ['sctp'], ethType: ETH_IPV4, nwProto: SCTP },
  { names: ['sctp6'], ethType: ETH_IPV6, nwProto: SCTP },
];
