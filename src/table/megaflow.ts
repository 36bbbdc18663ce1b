/**
 * Prints a datapath flow in the style of `ovs-appctl dpctl/dump-flows`:
 *
 *     in_port(1),eth_type(0x0800),ipv4(dst=10.0.0.1,frag=no), actions:set(eth(dst=00:00:00:00:00:02)),2
 *
 * Two things OVS has no word for: `vlan(none)` where the absence of a tag counts and `vlan(any)` where
 * only its presence does.
 */
import { OP_DROP, OP_OUTPUT, OP_POP_VLAN, OP_PUSH_VLAN, OP_SET, VLAN_PRESENT } from '../datapath.ts';
import { swap16 } from './bytes.ts';
import { fieldOf } from './fields.ts';
import { KEY_WORDS, Match, wordsOf } from './match.ts';
import { TCI_WORD } from './packet.ts';
import { meets } from './protocols.ts';
import { type PortNames, printMatchValue, printPort } from './values.ts';

/** The parts of each group and their fields. A packet has the group when it has the first field. */
const GROUPS = Object.entries({
  eth: { src: 'eth_src', dst: 'eth_dst' },
  eth_type: { '': 'eth_type' },
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
}).map(([group, parts]) => ({
  group,
  parts: Object.entries(parts).map(([part, name]) => ({ part, field: fieldOf(name) })),
}));

const VLAN_VID = fieldOf('dl_vlan');
const VLAN_PCP = fieldOf('vlan_pcp');
const PRESENT = swap16(VLAN_PRESENT);

const isSet = (mask: Uint8Array): boolean => mask.some((byte) => byte !== 0);

function printVlan(match: Match): string[] {
  const mask = match.mask[TCI_WORD]! & 0xffff;
  if (mask === 0) return [];
  if (mask & PRESENT && !(match.value[TCI_WORD]! & PRESENT)) return ['vlan(none)'];
  const [vid, pcp] = [match.get(VLAN_VID), match.get(VLAN_PCP)];
  const parts: string[] = [];
  if (isSet(vid.mask)) parts.push(`vid=${printMatchValue(vid, VLAN_VID)}`);
  if (isSet(pcp.mask)) parts.push(`pcp=${printMatchValue(pcp, VLAN_PCP)}`);
  return [`vlan(${parts.join(',') || 'any'})`];
}

/** The groups of fields that a match mentions, for packets of the given kind. */
function printGroups(match: Match, ethType: number | undefined, nwProto: number | undefined): string[] {
  return GROUPS.flatMap(({ group, parts }) => {
    if (!meets(parts[0]!.field.requires, ethType, nwProto)) return [];
    const said = parts
      .map(({ part, field }) => ({ part, field, masked: match.get(field) }))
      .filter(({ masked }) => isSet(masked.mask))
      .map(({ part, field, masked }) => `${part && `${part}=`}${printMatchValue(masked, field)}`);
    return said.length > 0 ? [`${group}(${said.join(',')})`] : [];
  });
}

/** Operations of a program as text. Settings that follow one another are printed together. */
function printProgram(program: Uint32Array, packet: Match, ports: PortNames): string {
  const printed: string[] = [];
  let value = new Uint32Array(KEY_WORDS);
  let mask = new Uint32Array(KEY_WORDS);
  const flush = (): void => {
    const set = new Match(value, mask);
    const groups = [...printVlan(set), ...printGroups(set, packet.ethType, packet.nwProto)];
    printed.push(...groups.map((group) => `set(${group})`));
    value = new Uint32Array(KEY_WORDS);
    mask = new Uint32Array(KEY_WORDS);
  };
  for (let at = 0; at < program.length; ) {
    const [operation, first = 0, second = 0, third = 0] = program.subarray(at, at + 4);
    if (operation === OP_SET) {
      value[first >> 2] = second;
      mask[first >> 2] = third;
      at += 4;
      continue;
    }
    flush();
    if (operation === OP_OUTPUT) printed.push(printPort(first, ports));
    else if (operation === OP_PUSH_VLAN) printed.push(printPush(first));
    else if (operation === OP_POP_VLAN) printed.push('pop_vlan');
    else if (operation === OP_DROP) printed.push('drop');
    at += operation === OP_OUTPUT || operation === OP_PUSH_VLAN || operation === OP_DROP ? 2 : 1;
  }
  return printed.join(',');
}

function printPush(word: number): string {
  const tpid = word >>> 16;
  const outer = tpid === 0x8100 ? '' : `tpid=0x${tpid.toString(16)},`;
  return `push_vlan(${outer}vid=${word & 0xfff},pcp=${(word >> 13) & 7})`;
}

/**
 * Prints a datapath flow on one line.
 * @param key KEY_SIZE bytes, of any packet in the flow
 * @param mask as many
 * @param program as in `opcode.ts`
 * @param ports their names; a port that is not among them is printed by number
 */
export function formatMegaflow(
  key: Uint8Array,
  mask: Uint8Array,
  program: Uint32Array,
  ports: PortNames,
): string {
  const [value, masks] = [wordsOf(key), wordsOf(mask)];
  const packet = new Match(value, new Uint32Array(KEY_WORDS).fill(0xffff_ffff));
  const match = new Match(
    value.map((word, i) => word & masks[i]!),
    masks,
  );
  return `${printFields(match, ports)}, actions:${printProgram(program, packet, ports)}`;
}

/** Prints what a packet's key says of it. */
export function formatPacket(key: Uint8Array, ports: PortNames): string {
  return printFields(new Match(wordsOf(key), new Uint32Array(KEY_WORDS).fill(0xffff_ffff)), ports);
}

function printFields(match: Match, ports: PortNames): string {
  return [
    `in_port(${printPort(match.value[0]!, ports)})`,
    ...printVlan(match),
    ...printGroups(match, match.ethType, match.nwProto),
  ].join(',');
}
