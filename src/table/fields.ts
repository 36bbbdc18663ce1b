/**
 * Every field of the flow key that a flow can match or set, as data: where it lies in the key bytes,
 * which bits are its own, how it is written, and what a packet must be to have it.
 *
 * Rows stand in the order in which `ovs-ofctl` prints them. Several rows may share an alias when they
 * share their place in the key: `tp_src` is the TCP, UDP or SCTP source port, or the ICMP type.
 */
import { Key } from '../datapath.ts';

export const ETH_IPV4 = 0x0800;
export const ETH_IPV6 = 0x86dd;
const ETH_ARP = 0x0806;
const ETH_RARP = 0x8035;

const TCP = 6;
const UDP = 17;
const SCTP = 132;
const ICMP = 1;
const ICMPV6 = 58;

/** What a packet must be to have a field: one of these Ethernet types and, if given, IP protocols. */
export interface Prerequisite {
  /** As one would write it in a match. */
  readonly name: string;
  readonly ethTypes: readonly number[];
  readonly protocols?: readonly number[];
}

const needs = (name: string, ethTypes: readonly number[], ...protocols: number[]): Prerequisite =>
  protocols.length > 0 ? { name, ethTypes, protocols } : { name, ethTypes };

const IPV4 = needs('ip', [ETH_IPV4]);
const IPV6 = needs('ipv6', [ETH_IPV6]);
const IP = needs('ip or ipv6', [ETH_IPV4, ETH_IPV6]);
const ON_ARP = needs('arp', [ETH_ARP]);
const ON_TCP = needs('tcp or tcp6', IP.ethTypes, TCP);
const ON_UDP = needs('udp or udp6', IP.ethTypes, UDP);
const ON_SCTP = needs('sctp or sctp6', IP.ethTypes, SCTP);
const ON_ICMP = needs('icmp', IPV4.ethTypes, ICMP);
const ON_ICMPV6 = needs('icmp6', IPV6.ethTypes, ICMPV6);

/** How a value is written. `values.ts` has one reader and printer for each. */
export type Kind = 'decimal' | 'hex' | 'mac' | 'ipv4' | 'ipv6' | 'port' | 'fragment' | 'tcpFlags';

export interface Field {
  /** The name in `set_field:…->name` and in messages; `matchName` is the one printed in a match. */
  readonly name: string;
  readonly matchName: string;
  readonly aliases: readonly string[];
  /** First byte in the key, and how many. */
  readonly offset: number;
  readonly bytes: number;
  /** The field's own bits within those bytes, as they stand in the key. */
  readonly bits: Uint8Array;
  /** A number is written without this many zero bits at its right. */
  readonly shift: number;
  readonly kind: Kind;
  readonly requires: Prerequisite | undefined;
  /** Only tagged packets have it; a match on it implies the tag. */
  readonly onTag: boolean;
  readonly maskable: boolean;
  readonly writable: boolean;
  /** Part of the printed match. The rest are further spellings of the same bits. */
  readonly printed: boolean;
}

interface Row extends Partial<Omit<Field, 'bits' | 'name' | 'offset' | 'bytes' | 'kind'>> {
  /** For fields of up to two bytes that do not own all their bits. */
  bits?: number;
}

function field(name: string, kind: Kind, offset: number, bytes: number, row: Row = {}): Field {
  const bits = new Uint8Array(bytes).fill(0xff);
  if (row.bits !== undefined) for (let i = 0; i < bytes; i++) bits[i] = row.bits >> (8 * (bytes - 1 - i));
  const rest = { matchName: name, aliases: [], shift: 0, requires: undefined, onTag: false };
  return {
    ...rest,
    maskable: false,
    writable: false,
    printed: true,
    ...row,
    name,
    kind,
    offset,
    bytes,
    bits,
  };
}

const maskable = true;
const writable = true;
const hidden = { printed: false };
const both = { maskable, writable };

export const FIELDS: readonly Field[] = [
  field('in_port', 'port', Key.inPort, 4, { writable }),
  field('vlan_tci', 'hex', Key.vlanTci, 2, { ...both, ...hidden }),
  field('vlan_vid', 'decimal', Key.vlanTci, 2, { bits: 0x1fff, ...both, ...hidden }),
  field('dl_vlan', 'decimal', Key.vlanTci, 2, { bits: 0x0fff, onTag: true, ...hidden }),
  field('vlan_pcp', 'decimal', Key.vlanTci, 2, {
    aliases: ['dl_vlan_pcp'],
    bits: 0xe000,
    shift: 13,
    onTag: true,
    writable,
    ...hidden,
  }),
  field('eth_src', 'mac', Key.ethSrc, 6, { matchName: 'dl_src', ...both }),
  field('eth_dst', 'mac', Key.ethDst, 6, { matchName: 'dl_dst', ...both }),
  field('eth_type', 'hex', Key.ethType, 2, { matchName: 'dl_type' }),
  field('ip_src', 'ipv4', Key.nwSrc, 4, { matchName: 'nw_src', requires: IPV4, ...both }),
  field('ip_dst', 'ipv4', Key.nwDst, 4, { matchName: 'nw_dst', requires: IPV4, ...both }),
  field('ipv6_src', 'ipv6', Key.nwSrc, 16, { requires: IPV6, ...both }),
  field('ipv6_dst', 'ipv6', Key.ipv6Dst, 16, { requires: IPV6, ...both }),
  field('arp_spa', 'ipv4', Key.nwSrc, 4, { aliases: ['nw_src', 'ip_src'], requires: ON_ARP, ...both }),
  field('arp_tpa', 'ipv4', Key.nwDst, 4, { aliases: ['nw_dst', 'ip_dst'], requires: ON_ARP, ...both }),
  field('nw_proto', 'decimal', Key.nwProto, 1, { aliases: ['ip_proto'], requires: IP }),
  field('arp_op', 'decimal', Key.nwProto, 1, {
    aliases: ['nw_proto', 'ip_proto'],
    requires: ON_ARP,
    writable,
  }),
  field('arp_sha', 'mac', Key.arpSha, 6, { requires: ON_ARP, ...both }),
  field('arp_tha', 'mac', Key.arpTha, 6, { requires: ON_ARP, ...both }),
  field('nw_tos', 'decimal', Key.nwTos, 1, { bits: 0xfc, requires: IP, writable }),
  field('ip_dscp', 'decimal', Key.nwTos, 1, { bits: 0xfc, shift: 2, requires: IP, writable, ...hidden }),
  field('nw_ecn', 'decimal', Key.nwTos, 1, { aliases: ['ip_ecn'], bits: 0x03, requires: IP, writable }),
  field('nw_ttl', 'decimal', Key.nwTtl, 1, { requires: IP, writable }),
  field('ip_frag', 'fragment', Key.nwFrag, 1, { matchName: 'nw_frag', bits: 0x03, requires: IP, maskable }),
  ...ports('tcp', ON_TCP),
  ...ports('udp', ON_UDP),
  ...ports('sctp', ON_SCTP),
  ...icmp('icmp', ON_ICMP),
  ...icmp('icmpv6', ON_ICMPV6),
  field('tcp_flags', 'tcpFlags', Key.tcpFlags, 2, { bits: 0x0fff, requires: ON_TCP, maskable }),
];

function ports(protocol: string, requires: Prerequisite): Field[] {
  // SCTP's checksum covers the whole packet (RFC 9260 §6.8), so its ports are only matched.
  const writable = protocol !== 'sctp';
  const port = (end: string, offset: number) =>
    field(`${protocol}_${end}`, 'decimal', offset, 2, {
      matchName: `tp_${end}`,
      requires,
      maskable,
      writable,
    });
  return [port('src', Key.tpSrc), port('dst', Key.tpDst)];
}

/** Type and code are one byte each, in the low byte of the key's port. */
function icmp(protocol: string, requires: Prerequisite): Field[] {
  const byte = (part: string, port: string, offset: number) =>
    field(`${protocol}_${part}`, 'decimal', offset, 2, {
      matchName: `icmp_${part}`,
      aliases: [port],
      bits: 0x00ff,
      requires,
      writable,
    });
  return [byte('type', 'tp_src', Key.tpSrc), byte('code', 'tp_dst', Key.tpDst)];
}

/** The ports of whichever transport protocol the packet has: what `mod_tp_src` and `mod_tp_dst` set. */
const TRANSPORT = needs('tcp or udp', IP.ethTypes, TCP, UDP);
export const TP_SRC = field('tp_src', 'decimal', Key.tpSrc, 2, { requires: TRANSPORT });
export const TP_DST = field('tp_dst', 'decimal', Key.tpDst, 2, { requires: TRANSPORT });

const byName = new Map<string, Field[]>();
for (const row of FIELDS) {
  for (const name of new Set([row.name, row.matchName, ...row.aliases])) {
    byName.set(name, [...(byName.get(name) ?? []), row]);
  }
}

/** The fields that go by a name; empty when the name is unknown. */
export const fieldsNamed = (name: string): readonly Field[] => byName.get(name) ?? [];

/** The one field of this canonical name. */
export const fieldOf = (name: string): Field => fieldsNamed(name).find((row) => row.name === name)!;

export const fieldNames = (): Iterable<string> => byName.keys();

/** Whether a packet, or a match that pins these two, has what is required. */
export function meets(
  requires: Prerequisite | undefined,
  ethType: number | undefined,
  nwProto: number | undefined,
): boolean {
  if (!requires) return true;
  if (ethType === undefined || !requires.ethTypes.includes(ethType)) return false;
  return !requires.protocols || (nwProto !== undefined && requires.protocols.includes(nwProto));
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
  { names: ['icmp'], ethType: ETH_IPV4, nwProto: ICMP },
  { names: ['icmp6'], ethType: ETH_IPV6, nwProto: ICMPV6 },
  { names: ['tcp'], ethType: ETH_IPV4, nwProto: TCP },
  { names: ['tcp6'], ethType: ETH_IPV6, nwProto: TCP },
  { names: ['udp'], ethType: ETH_IPV4, nwProto: UDP },
  { names: ['udp6'], ethType: ETH_IPV6, nwProto: UDP },
  { names: ['sctp'], ethType: ETH_IPV4, nwProto: SCTP },
  { names: ['sctp6'], ethType: ETH_IPV6, nwProto: SCTP },
];
