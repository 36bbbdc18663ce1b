/**
 * Every field that a flow can match or set, as data: where it lies in the table key, which bits are its
 * own, how it is written, and what a packet must be to have it.
 *
 * The table key is the flow key of the datapath and, behind it, what exists only while the tables are
 * walked. No megaflow knows the second part; it begins as zeros.
 *
 *      0                   128       136      144               208      212     216            220   224
 *     ┌───────────────────┬─────────┬────────┬─────────────────┬────────┬───────┬──────────────┬──────┐
 *     │ flow key (key.ts) │metadata │ tun_id │ reg0 … reg15    │pkt_mark│conj_id│actset_output │unused│
 *     └───────────────────┴─────────┴────────┴─────────────────┴────────┴───────┴──────────────┴──────┘
 *
 * Everything in the second part is big-endian, so that two registers are one wide one.
 *
 * Rows stand in the order in which `ovs-ofctl` prints them. Several rows may share an alias when they
 * share their place in the key: `tp_src` is the TCP, UDP or SCTP source port, or the ICMP type.
 */
import { KEY_SIZE, Key } from '../datapath.ts';
import { fromNumber, ones } from './bytes.ts';
import {
  ON_ADVERTISEMENT,
  ON_ARP,
  ON_CONNECTION,
  ON_ICMP,
  ON_ICMPV6,
  ON_IP,
  ON_IPV4,
  ON_IPV4_CONNECTION,
  ON_IPV6,
  ON_IPV6_CONNECTION,
  ON_MPLS,
  ON_ND,
  ON_SCTP,
  ON_SOLICITATION,
  ON_TCP,
  ON_TRANSPORT,
  ON_UDP,
  type Prerequisite,
} from './protocols.ts';

/** Byte offsets in the table key behind the flow key. */
export const Pipeline = {
  metadata: KEY_SIZE,
  tunnelId: KEY_SIZE + 8,
  registers: KEY_SIZE + 16,
  packetMark: KEY_SIZE + 80,
  conjunctionId: KEY_SIZE + 84,
  actionSetOutput: KEY_SIZE + 88,
} as const;

export const TABLE_KEY_SIZE: number = KEY_SIZE + 96;

/** How a value is written. `values.ts` has one reader and printer for each. */
export type Kind =
  | 'decimal'
  | 'hex'
  | 'mac'
  | 'ipv4'
  | 'ipv6'
  | 'port'
  | 'fragment'
  | 'tcpFlags'
  | 'connection';

export interface Field {
  /** The name in `set_field:…->name` and in messages; `matchName` is the one printed in a match. */
  readonly name: string;
  readonly matchName: string;
  readonly aliases: readonly string[];
  /** Its names in `load`, `move` and the like, the printed one first; none when it cannot stand there. */
  readonly nxm: readonly string[];
  /** First byte in the table key, and how many. */
  readonly offset: number;
  readonly bytes: number;
  /** The field's own bits within those bytes, as they stand in the key. */
  readonly bits: Uint8Array;
  /** A number is written without this many zero bits at its right. */
  readonly shift: number;
  /** How many bits OpenFlow gives the field, from `shift` on. Those that the key has no room for are zero. */
  readonly width: number;
  /** The bytes are in the machine's order: little-endian. */
  readonly hostOrder: boolean;
  readonly kind: Kind;
  /** Hexadecimal digits that a match is printed with at least. */
  readonly digits: number;
  readonly requires: Prerequisite | undefined;
  /** Only tagged packets have it; a match on it implies the tag. */
  readonly onTag: boolean;
  readonly maskable: boolean;
  readonly writable: boolean;
  /** Kept with the connection: written inside ct(exec(…)) alone. */
  readonly committed: boolean;
  /** Part of the printed match. The rest are further spellings of the same bits. */
  readonly printed: boolean;
}

/** Some bits of a field: `first` counts from the least significant bit of its number. */
export interface Subfield {
  readonly field: Field;
  readonly first: number;
  readonly bits: number;
}

interface Row extends Partial<Omit<Field, 'bits' | 'name' | 'offset' | 'bytes' | 'kind'>> {
  /** For fields of up to four bytes that do not own all their bits. */
  bits?: number;
}

function field(name: string, kind: Kind, offset: number, bytes: number, row: Row = {}): Field {
  const hostOrder = row.hostOrder ?? false;
  const own = fromNumber(row.bits === undefined ? ones(8 * bytes) : BigInt(row.bits), bytes, hostOrder);
  const highest = row.bits === undefined ? bytes * 8 : 32 - Math.clz32(row.bits);
  return {
    matchName: name,
    aliases: [],
    nxm: [],
    shift: 0,
    width: highest - (row.shift ?? 0),
    hostOrder,
    digits: 0,
    requires: undefined,
    onTag: false,
    maskable: false,
    writable: false,
    committed: false,
    printed: true,
    ...row,
    name,
    kind,
    offset,
    bytes,
    bits: own,
  };
}

const maskable = true;
const writable = true;
const committed = true;
const hostOrder = true;
const hidden = { printed: false };
const both = { maskable, writable };

const registerNames = (prefix: string, wire: string, bytes: number): Field[] =>
  Array.from({ length: 64 / bytes }, (_, i) =>
    field(`${prefix}${i}`, 'hex', Pipeline.registers + i * bytes, bytes, {
      nxm: [`${wire}${i}`],
      printed: bytes === 4,
      ...both,
    }),
  );

export const FIELDS: readonly Field[] = [
  field('pkt_mark', 'hex', Pipeline.packetMark, 4, { nxm: ['NXM_NX_PKT_MARK'], ...both }),
  field('conj_id', 'decimal', Pipeline.conjunctionId, 4, { nxm: ['NXM_NX_CONJ_ID'] }),
  field('actset_output', 'port', Pipeline.actionSetOutput, 4, {
    nxm: ['ONFOXM_ET_ACTSET_OUTPUT', 'OXM_OF_ACTSET_OUTPUT'],
  }),
  field('ct_state', 'connection', Key.ctState, 1, { nxm: ['NXM_NX_CT_STATE'], width: 32, maskable }),
  field('ct_zone', 'decimal', Key.ctZone, 2, { nxm: ['NXM_NX_CT_ZONE'], hostOrder }),
  field('ct_mark', 'hex', Key.ctMark, 4, { nxm: ['NXM_NX_CT_MARK'], hostOrder, maskable, committed }),
  field('ct_label', 'hex', Key.ctLabel, 16, { nxm: ['NXM_NX_CT_LABEL'], maskable, committed }),
  ...firstPacket('src', Key.ndTarget),
  ...firstPacket('dst', Key.ndSll),
  field('ct_nw_proto', 'decimal', Key.ctNwProto, 1, {
    nxm: ['NXM_NX_CT_NW_PROTO'],
    requires: ON_CONNECTION,
  }),
  field('ct_tp_src', 'decimal', Key.ctTpSrc, 2, {
    nxm: ['NXM_NX_CT_TP_SRC'],
    requires: ON_CONNECTION,
    maskable,
  }),
  field('ct_tp_dst', 'decimal', Key.ctTpDst, 2, {
    nxm: ['NXM_NX_CT_TP_DST'],
    requires: ON_CONNECTION,
    maskable,
  }),
  ...registerNames('reg', 'NXM_NX_REG', 4),
  ...registerNames('xreg', 'OXM_OF_PKT_REG', 8),
  ...registerNames('xxreg', 'NXM_NX_XXREG', 16),
  field('tun_id', 'hex', Pipeline.tunnelId, 8, {
    aliases: ['tunnel_id'],
    nxm: ['NXM_NX_TUN_ID', 'OXM_OF_TUNNEL_ID'],
    ...both,
  }),
  field('metadata', 'hex', Pipeline.metadata, 8, { nxm: ['OXM_OF_METADATA'], ...both }),
  field('in_port', 'port', Key.inPort, 4, { nxm: ['NXM_OF_IN_PORT'], width: 16, hostOrder, writable }),
  field('in_port_oxm', 'port', Key.inPort, 4, { nxm: ['OXM_OF_IN_PORT'], hostOrder, writable, ...hidden }),
  field('vlan_tci', 'hex', Key.vlanTci, 2, { nxm: ['NXM_OF_VLAN_TCI'], digits: 4, ...both, ...hidden }),
  field('vlan_vid', 'decimal', Key.vlanTci, 2, {
    nxm: ['OXM_OF_VLAN_VID'],
    bits: 0x1fff,
    width: 12,
    ...both,
    ...hidden,
  }),
  field('dl_vlan', 'decimal', Key.vlanTci, 2, { bits: 0x0fff, onTag: true, ...hidden }),
  field('vlan_pcp', 'decimal', Key.vlanTci, 2, {
    aliases: ['dl_vlan_pcp'],
    nxm: ['OXM_OF_VLAN_PCP'],
    bits: 0xe000,
    shift: 13,
    onTag: true,
    writable,
    ...hidden,
  }),
  field('eth_src', 'mac', Key.ethSrc, 6, { matchName: 'dl_src', nxm: wire('ETH_SRC'), ...both }),
  field('eth_dst', 'mac', Key.ethDst, 6, { matchName: 'dl_dst', nxm: wire('ETH_DST'), ...both }),
  field('eth_type', 'hex', Key.ethType, 2, { matchName: 'dl_type', nxm: wire('ETH_TYPE'), digits: 4 }),
  field('ip_src', 'ipv4', Key.nwSrc, 4, {
    matchName: 'nw_src',
    nxm: ['NXM_OF_IP_SRC', 'OXM_OF_IPV4_SRC'],
    requires: ON_IPV4,
    ...both,
  }),
  field('ip_dst', 'ipv4', Key.nwDst, 4, {
    matchName: 'nw_dst',
    nxm: ['NXM_OF_IP_DST', 'OXM_OF_IPV4_DST'],
    requires: ON_IPV4,
    ...both,
  }),
  field('ipv6_src', 'ipv6', Key.nwSrc, 16, { nxm: nicira('IPV6_SRC'), requires: ON_IPV6, ...both }),
  field('ipv6_dst', 'ipv6', Key.ipv6Dst, 16, { nxm: nicira('IPV6_DST'), requires: ON_IPV6, ...both }),
  field('ipv6_label', 'hex', Key.ipv6Label, 4, {
    nxm: ['NXM_NX_IPV6_LABEL', 'OXM_OF_IPV6_FLABEL'],
    bits: 0x000f_ffff,
    digits: 5,
    requires: ON_IPV6,
    ...both,
  }),
  field('arp_spa', 'ipv4', Key.nwSrc, 4, {
    aliases: ['nw_src', 'ip_src'],
    nxm: wire('ARP_SPA'),
    requires: ON_ARP,
    ...both,
  }),
  field('arp_tpa', 'ipv4', Key.nwDst, 4, {
    aliases: ['nw_dst', 'ip_dst'],
    nxm: wire('ARP_TPA'),
    requires: ON_ARP,
    ...both,
  }),
  field('nw_proto', 'decimal', Key.nwProto, 1, {
    aliases: ['ip_proto'],
    nxm: wire('IP_PROTO'),
    requires: ON_IP,
  }),
  field('arp_op', 'decimal', Key.nwProto, 1, {
    aliases: ['nw_proto', 'ip_proto'],
    nxm: wire('ARP_OP'),
    width: 16,
    requires: ON_ARP,
    writable,
  }),
  field('arp_sha', 'mac', Key.arpSha, 6, { nxm: nicira('ARP_SHA'), requires: ON_ARP, ...both }),
  field('arp_tha', 'mac', Key.arpTha, 6, { nxm: nicira('ARP_THA'), requires: ON_ARP, ...both }),
  field('nw_tos', 'decimal', Key.nwTos, 1, {
    nxm: ['NXM_OF_IP_TOS'],
    bits: 0xfc,
    requires: ON_IP,
    writable,
  }),
  field('ip_dscp', 'decimal', Key.nwTos, 1, {
    nxm: ['OXM_OF_IP_DSCP'],
    bits: 0xfc,
    shift: 2,
    requires: ON_IP,
    writable,
    ...hidden,
  }),
  field('nw_ecn', 'decimal', Key.nwTos, 1, {
    aliases: ['ip_ecn'],
    nxm: nicira('IP_ECN'),
    bits: 0x03,
    requires: ON_IP,
    writable,
  }),
  field('nw_ttl', 'decimal', Key.nwTtl, 1, { nxm: ['NXM_NX_IP_TTL'], requires: ON_IP, writable }),
  ...mplsFields(),
  field('ip_frag', 'fragment', Key.nwFrag, 1, {
    matchName: 'nw_frag',
    nxm: ['NXM_NX_IP_FRAG'],
    bits: 0x03,
    requires: ON_IP,
    maskable,
  }),
  ...ports('tcp', ON_TCP),
  ...ports('udp', ON_UDP),
  ...ports('sctp', ON_SCTP),
  ...icmp('icmp', ON_ICMP, ['NXM_OF_ICMP_', 'OXM_OF_ICMPV4_']),
  ...icmp('icmpv6', ON_ICMPV6, ['NXM_NX_ICMPV6_', 'OXM_OF_ICMPV6_']),
  field('nd_target', 'ipv6', Key.ndTarget, 16, { nxm: discovery('TARGET'), requires: ON_ND, ...both }),
  field('nd_sll', 'mac', Key.ndSll, 6, { nxm: discovery('SLL'), requires: ON_SOLICITATION, ...both }),
  field('nd_tll', 'mac', Key.ndTll, 6, { nxm: discovery('TLL'), requires: ON_ADVERTISEMENT, ...both }),
  field('tcp_flags', 'tcpFlags', Key.tcpFlags, 2, {
    nxm: ['NXM_NX_TCP_FLAGS', 'ONFOXM_ET_TCP_FLAGS', 'OXM_OF_TCP_FLAGS'],
    bits: 0x0fff,
    requires: ON_TCP,
    maskable,
  }),
];

/** The names of a field that OpenFlow 1.0's extensions and later OpenFlow both have. */
function wire(name: string): string[] {
  return [`NXM_OF_${name}`, `OXM_OF_${name}`];
}

function nicira(name: string): string[] {
  return [`NXM_NX_${name}`, `OXM_OF_${name}`];
}

function discovery(name: string): string[] {
  return [`NXM_NX_ND_${name}`, `OXM_OF_IPV6_ND_${name}`];
}

/** An address of the first packet of a connection. */
function firstPacket(end: string, offset: number): Field[] {
  const address = (family: string, kind: Kind, bytes: number, requires: Prerequisite) =>
    field(`ct_${family}_${end}`, kind, offset, bytes, {
      nxm: [`NXM_NX_CT_${family}_${end}`.toUpperCase()],
      requires,
      maskable,
    });
  return [address('nw', 'ipv4', 4, ON_IPV4_CONNECTION), address('ipv6', 'ipv6', 16, ON_IPV6_CONNECTION)];
}

/** The outermost label stack entry (RFC 3032 §2.1): label, traffic class, bottom of stack, time to live. */
function mplsFields(): Field[] {
  const part = (name: string, wireName: string, bits: number, shift: number, row: Row = {}) =>
    field(`mpls_${name}`, 'decimal', Key.nwSrc, 4, {
      nxm: [wireName],
      bits,
      shift,
      requires: ON_MPLS,
      ...row,
    });
  return [
    part('label', 'OXM_OF_MPLS_LABEL', 0xffff_f000, 12, { writable }),
    part('tc', 'OXM_OF_MPLS_TC', 0xe00, 9, { writable }),
    part('ttl', 'NXM_NX_MPLS_TTL', 0xff, 0, { writable }),
    part('bos', 'OXM_OF_MPLS_BOS', 0x100, 8),
  ];
}

function ports(protocol: string, requires: Prerequisite): Field[] {
  const port = (end: string, offset: number) => {
    const name = `${protocol}_${end}`.toUpperCase();
    return field(`${protocol}_${end}`, 'decimal', offset, 2, {
      matchName: `tp_${end}`,
      nxm: protocol === 'sctp' ? [`OXM_OF_${name}`] : wire(name),
      requires,
      ...both,
    });
  };
  return [port('src', Key.tpSrc), port('dst', Key.tpDst)];
}

/** Type and code are one byte each, in the low byte of the key's port. */
function icmp(protocol: string, requires: Prerequisite, prefixes: readonly string[]): Field[] {
  const byte = (part: string, port: string, offset: number) =>
    field(`${protocol}_${part}`, 'decimal', offset, 2, {
      matchName: `icmp_${part}`,
      aliases: [port],
      nxm: prefixes.map((prefix) => prefix + part.toUpperCase()),
      bits: 0x00ff,
      requires,
      writable,
    });
  return [byte('type', 'tp_src', Key.tpSrc), byte('code', 'tp_dst', Key.tpDst)];
}

/** The ports of whichever transport protocol the packet has: what `mod_tp_src` and `mod_tp_dst` set. */
export const TP_SRC = field('tp_src', 'decimal', Key.tpSrc, 2, { requires: ON_TRANSPORT });
export const TP_DST = field('tp_dst', 'decimal', Key.tpDst, 2, { requires: ON_TRANSPORT });

const byName = new Map<string, Field[]>();
const byNxm = new Map<string, Field>();
for (const row of FIELDS) {
  for (const name of new Set([row.name, row.matchName, ...row.aliases])) {
    byName.set(name, [...(byName.get(name) ?? []), row]);
  }
  for (const name of row.nxm) byNxm.set(name, row);
}

/** The fields that go by a name; empty when the name is unknown. */
export const fieldsNamed = (name: string): readonly Field[] => byName.get(name) ?? [];

/** The field of a wire name such as NXM_OF_ETH_SRC. */
export const fieldOnWire = (name: string): Field | undefined => byNxm.get(name);

/** The one field of this canonical name. */
export const fieldOf = (name: string): Field => fieldsNamed(name).find((row) => row.name === name)!;

export const fieldNames = (): Iterable<string> => byName.keys();
export const wireNames = (): Iterable<string> => byNxm.keys();
