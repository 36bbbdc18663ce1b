/**
 * Prints what of a flow key counts, in the groups of `ovs-appctl dpctl/dump-flows`. OVS has no word for
 * `vlan(none)`, where the absence of a tag counts, and `vlan(any)`, where only its presence does; the second tag
 * is `inner_vlan`, which OVS writes inside the first one's `encap`, and further labels are `lse1` and `lse2`.
 */
import { Key, VLAN_PRESENT } from '../datapath.ts';
import { swap16, swap32 } from './bytes.ts';
import { TCI_WORD } from './entry.ts';
import { fieldOf } from './fields.ts';
import { Match } from './match.ts';
import { meets, type PacketKind } from './protocols.ts';
import { printMatchValue } from './values.ts';

/** The parts of each group and their fields. */
const GROUPS = Object.entries({
  ct_state: { '': 'ct_state' },
  ct_zone: { '': 'ct_zone' },
  ct_mark: { '': 'ct_mark' },
  ct_label: { '': 'ct_label' },
  ct_tuple4: {
    src: 'ct_nw_src',
    dst: 'ct_nw_dst',
    proto: 'ct_nw_proto',
    tp_src: 'ct_tp_src',
    tp_dst: 'ct_tp_dst',
  },
  ct_tuple6: {
    src: 'ct_ipv6_src',
    dst: 'ct_ipv6_dst',
    proto: 'ct_nw_proto',
    tp_src: 'ct_tp_src',
    tp_dst: 'ct_tp_dst',
  },
  eth: { src: 'eth_src', dst: 'eth_dst' },
  eth_type: { '': 'eth_type' },
  mpls: { label: 'mpls_label', tc: 'mpls_tc', ttl: 'mpls_ttl', bos: 'mpls_bos' },
  ipv4: {
    src: 'ip_src',
    dst: 'ip_dst',
    proto: 'nw_proto',
    tos: 'nw_tos',
    ecn: 'nw_ecn',
    ttl: 'nw_ttl',
    frag: 'ip_frag',
  },
  ipv6: {
    src: 'ipv6_src',
    dst: 'ipv6_dst',
    label: 'ipv6_label',
    proto: 'nw_proto',
    tos: 'nw_tos',
    ecn: 'nw_ecn',
    ttl: 'nw_ttl',
    frag: 'ip_frag',
  },
  arp: { sip: 'arp_spa', tip: 'arp_tpa', op: 'arp_op', sha: 'arp_sha', tha: 'arp_tha' },
  tcp: { src: 'tcp_src', dst: 'tcp_dst' },
  tcp_flags: { '': 'tcp_flags' },
  udp: { src: 'udp_src', dst: 'udp_dst' },
  sctp: { src: 'sctp_src', dst: 'sctp_dst' },
  icmp: { type: 'icmp_type', code: 'icmp_code' },
  icmpv6: { type: 'icmpv6_type', code: 'icmpv6_code' },
  nd: { target: 'nd_target', sll: 'nd_sll', tll: 'nd_tll' },
}).map(([group, parts]) => ({
  group,
  /** A packet has the group when it has its first field. */
  requires: fieldOf(Object.values(parts)[0]!).requires,
  parts: Object.entries(parts).map(([part, name]) => ({ part, field: fieldOf(name) })),
}));

const VLAN_VID = fieldOf('dl_vlan');
const VLAN_PCP = fieldOf('vlan_pcp');
const PRESENT = swap16(VLAN_PRESENT);
const FURTHER_LABELS = [1, 2].map((i) => ({ name: `lse${i}`, word: (Key.nwSrc >> 2) + i }));

const isSet = (mask: Uint8Array): boolean => mask.some((byte) => byte !== 0);

function printTag(name: string, match: Match): string[] {
  const mask = match.mask[TCI_WORD]! & 0xffff;
  if (mask === 0) return [];
  if (mask & PRESENT && !(match.value[TCI_WORD]! & PRESENT)) return [`${name}(none)`];
  const [vid, pcp] = [match.get(VLAN_VID), match.get(VLAN_PCP)];
  const parts: string[] = [];
  if (isSet(vid.mask)) parts.push(`vid=${printMatchValue(vid, VLAN_VID)}`);
  if (isSet(pcp.mask)) parts.push(`pcp=${printMatchValue(pcp, VLAN_PCP)}`);
  return [`${name}(${parts.join(',') || 'any'})`];
}

/** The outer and the inner tag. */
export function printTags(match: Match): string[] {
  const inner = (words: Uint32Array): Uint32Array => {
    const moved = new Uint32Array(words.length);
    moved[TCI_WORD] = words[Key.innerTci >> 2]! >>> 16;
    return moved;
  };
  const innerMatch = new Match(inner(match.value), inner(match.mask));
  return [...printTag('vlan', match), ...printTag('inner_vlan', innerMatch)];
}

/** The groups of fields that a match mentions, for packets of the given kind. */
export function printGroups(match: Match, kind: PacketKind): string[] {
  return GROUPS.flatMap(({ group, requires, parts }) => {
    if (!meets(requires, kind)) return [];
    const said = parts
      .map(({ part, field }) => ({ part, field, masked: match.get(field) }))
      .filter(({ field, masked }) => isSet(masked.mask) && meets(field.requires, kind))
      .map(({ part, field, masked }) => `${part && `${part}=`}${printMatchValue(masked, field)}`);
    const further = group === 'mpls' ? printFurtherLabels(match) : [];
    return said.length > 0 ? [`${group}(${said.join(',')})`, ...further] : further;
  });
}

function printFurtherLabels({ value, mask }: Match): string[] {
  const hex = (word: number): string => `0x${swap32(word).toString(16)}`;
  return FURTHER_LABELS.filter(({ word }) => mask[word] !== 0).map(
    ({ name, word }) => `${name}(${hex(value[word]!)}/${hex(mask[word]!)})`,
  );
}
