/**
 * Random flows that use the whole language: every field in matches, every action, as `ovs-ofctl` takes them.
 */
import fc from 'fast-check';
import { FIELDS, type Field } from '../../src/table/fields.ts';
import { meets } from '../../src/table/protocols.ts';

/** A kind of packet: how a match says it, and what that lets a flow say further. */
interface Packets {
  readonly text: string;
  readonly ethType?: number;
  readonly nwProto?: number;
  readonly icmpType?: number;
  readonly hasConnection?: boolean;
  readonly isTagged?: boolean;
}

const V4 = 0x0800;
const V6 = 0x86dd;
const PACKETS: readonly Packets[] = [
  { text: '' },
  { text: 'dl_vlan=5', isTagged: true },
  { text: 'dl_vlan=6,ip', ethType: V4, isTagged: true },
  { text: 'ip', ethType: V4 },
  { text: 'ipv6', ethType: V6 },
  { text: 'tcp', ethType: V4, nwProto: 6 },
  { text: 'udp', ethType: V4, nwProto: 17 },
  { text: 'sctp', ethType: V4, nwProto: 132 },
  { text: 'icmp', ethType: V4, nwProto: 1 },
  { text: 'tcp6', ethType: V6, nwProto: 6 },
  { text: 'udp6', ethType: V6, nwProto: 17 },
  { text: 'sctp6', ethType: V6, nwProto: 132 },
  { text: 'icmp6', ethType: V6, nwProto: 58 },
  { text: 'icmp6,icmp_type=135,icmp_code=0', ethType: V6, nwProto: 58, icmpType: 135 },
  { text: 'icmp6,icmp_type=136,icmp_code=0', ethType: V6, nwProto: 58, icmpType: 136 },
  { text: 'ct_state=+trk-inv', hasConnection: true },
  { text: 'ct_state=+est,ip', ethType: V4, hasConnection: true },
  { text: 'ct_state=+new+trk,tcp', ethType: V4, nwProto: 6, hasConnection: true },
  { text: 'ct_state=+rpl,udp6', ethType: V6, nwProto: 17, hasConnection: true },
  { text: 'arp', ethType: 0x0806 },
  { text: 'rarp', ethType: 0x8035 },
  { text: 'mpls', ethType: 0x8847 },
  { text: 'mplsm', ethType: 0x8848 },
];

const UNKNOWN = { ethType: undefined, nwProto: undefined, icmpType: undefined, hasConnection: false };
const isVlan = ({ name }: Field): boolean => name.includes('vlan');
const onPackets = (packets: Packets, field: Field): boolean =>
  meets(field.requires, { ...UNKNOWN, ...packets }) && (packets.isTagged === true || !field.onTag);

const below = (bits: number): fc.Arbitrary<bigint> =>
  fc.oneof(fc.constantFrom(0n, 1n, (1n << BigInt(bits)) - 1n), fc.bigInt(0n, (1n << BigInt(bits)) - 1n));

/** Now decimal, now hexadecimal; `ovs-ofctl` takes only hexadecimal for what is longer than 64 bits. */
const number = (bits: number): fc.Arbitrary<string> =>
  fc
    .tuple(below(bits), fc.boolean())
    .map(([value, hex]) => (hex || bits > 64 ? `0x${value.toString(16)}` : `${value}`));

const octets = (value: bigint, count: number): number[] =>
  Array.from({ length: count }, (_, i) => Number((value >> BigInt(8 * (count - 1 - i))) & 0xffn));
const hexPair = (byte: number): string => byte.toString(16).padStart(2, '0');

/** Addresses by their number of bits. */
const writeAddress: Readonly<Record<number, (value: bigint) => string>> = {
  32: (value) => octets(value, 4).join('.'),
  48: (value) => octets(value, 6).map(hexPair).join(':'),
  128: (value) =>
    octets(value, 16)
      .map(hexPair)
      .join('')
      .replace(/(....)(?=.)/g, '$1:'),
};
const address = (bits: number): fc.Arbitrary<string> => below(bits).map(writeAddress[bits]!);
const mac = address(48);
const ipv4 = address(32);

const port = fc.oneof(fc.nat(0xfeff).map(String), fc.constant('LOCAL'));
const flags = (names: readonly string[]) =>
  fc.subarray([...names], { minLength: 1 }).chain((some) =>
    fc.tuple(...some.map(() => fc.boolean())).map((signs) => ({
      all: some.join('|'),
      some: some.map((name, i) => (signs[i] ? '+' : '-') + name).join(''),
    })),
  );

/** One value of a field, in full. */
function value(field: Field): fc.Arbitrary<string> {
  const exact: Partial<Record<string, fc.Arbitrary<string>>> = {
    // What is behind these would be another kind of packet.
    eth_type: fc.constantFrom('0x88cc', '0x1234', '0x0600'),
    nw_proto: fc.constantFrom('2', '47', '89', '255'),
    vlan_vid: fc.nat(0xfff).map((vid) => String(vid | 0x1000)),
    nw_tos: fc.nat(63).map((dscp) => String(dscp << 2)),
    arp_op: number(8),
    icmpv6_type: fc.nat(130).map(String),
    // To ovs-ofctl 0 is no protocol at all.
    ct_nw_proto: fc.integer({ min: 1, max: 255 }).map(String),
    vlan_tci: fc.oneof(
      fc.constant('0'),
      fc.nat(0xffff).map((tci) => String(tci | 0x1000)),
    ),
  };
  const known = exact[field.name];
  if (known) return known;
  switch (field.kind) {
    case 'mac':
    case 'ipv4':
    case 'ipv6':
      return address(field.width);
    case 'port':
      return port;
    case 'fragment':
      // Of a later fragment OVS takes no match on ports.
      return fc.constantFrom('no', 'yes', 'first', 'not_later');
    case 'tcpFlags':
      return flags(['fin', 'syn', 'rst', 'psh', 'ack', 'urg', 'ece', 'cwr', 'ns', '[200]']).map(
        ({ all }) => all,
      );
    case 'connection':
      // Of what is invalid OVS makes no connection.
      return flags(['new', 'est', 'rel', 'rpl', 'trk', 'snat', 'dnat']).map(({ all }) => all);
    default:
      return number(field.width);
  }
}

const ADDRESS_BITS: Partial<Record<Field['kind'], number>> = { mac: 48, ipv4: 32, ipv6: 128 };

/** One value, perhaps with a mask; `isClean`: without ones outside the mask. */
function maskedValue(field: Field, isClean = false): fc.Arbitrary<string> {
  const exact = value(field);
  if (!field.maskable || field.kind === 'fragment' || field.name === 'vlan_vid') return exact;
  if (field.kind === 'tcpFlags') {
    return fc.oneof(
      exact,
      flags(['fin', 'syn', 'ack', 'urg', 'ns', '[400]', '[800]']).map(({ some }) => some),
    );
  }
  if (field.kind === 'connection') {
    return fc.oneof(
      exact,
      flags(['new', 'est', 'rel', 'trk', 'dnat']).map(({ some }) => some),
    );
  }
  const bits = ADDRESS_BITS[field.kind];
  const write = bits === undefined ? (number: bigint) => `0x${number.toString(16)}` : writeAddress[bits]!;
  // Without the bit that says that there is a tag, OpenFlow 1.0 takes a TCI for none at all.
  const always = field.name === 'vlan_tci' ? 0x1000n : 0n;
  // ovs-ofctl takes an IPv6 mask that begins with a decimal digit for a prefix length, and prints a mask of
  // nothing as a word that it cannot read.
  const inMask = field.kind === 'ipv6' ? 0xf000n << 112n : 1n;
  const pair = fc
    .tuple(below(field.width), below(field.width))
    .map(([number, mask]) => [number | always, mask | always | inMask] as const)
    .filter(([, mask]) => field.name !== 'ipv6_label' || mask !== 0xfffffn) // no mask at all, except to ovs-ofctl
    .map(([number, mask]) => `${write(isClean ? number & mask : number)}/${write(mask)}`);
  const prefix = fc.tuple(exact, fc.nat(field.width)).map(([text, length]) => `${text}/${length}`);
  const hasPrefixes = (field.kind === 'ipv4' || field.kind === 'ipv6') && !isClean;
  return fc.oneof(exact, pair, ...(hasPrefixes ? [prefix] : []));
}

const overlap = (a: Field, b: Field): boolean =>
  a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;

/** Conditions on fields of which no two share a byte; none on the field `unsaid`. */
function conditions(packets: Packets, unsaid: string): fc.Arbitrary<string[]> {
  const { ethType, nwProto, icmpType, hasConnection = false } = packets;
  const said = FIELDS.filter(
    ({ name }) =>
      (ethType !== undefined && name === 'eth_type') ||
      (nwProto !== undefined && name === 'nw_proto') ||
      (icmpType !== undefined && /^icmpv6_/.test(name)) ||
      (hasConnection && name === 'ct_state'),
  );
  const free = FIELDS.filter(
    (field) =>
      onPackets(packets, field) &&
      !said.some((other) => overlap(field, other)) &&
      !(isVlan(field) && packets.isTagged) &&
      field.name !== unsaid,
  );
  return fc.shuffledSubarray(free, { maxLength: 6 }).chain((some) => {
    const apart = some.filter((field, i) => !some.slice(0, i).some((other) => overlap(field, other)));
    // ovs-ofctl forgets the ports of a connection of which the protocol is not said.
    const hasProtocol = apart.some(({ name }) => name === 'ct_nw_proto');
    const chosen = apart.filter(({ name }) => hasProtocol || !/^ct_tp_/.test(name));
    return fc.tuple(
      ...chosen.map((field) =>
        fc
          .tuple(fc.constantFrom(field.name, field.matchName), maskedValue(field))
          .map(([name, text]) => `${name}=${text}`),
      ),
    );
  });
}

/** Fields that can stand in `move` and the like. */
const onWire = (packets: Packets, wanted: (field: Field) => boolean): Field[] =>
  FIELDS.filter((field) => field.nxm.length > 0 && onPackets(packets, field) && wanted(field));

const isSettable =
  (packets: Packets) =>
  (field: Field): boolean =>
    field.writable && (!isVlan(field) || field.name === 'vlan_tci' || packets.isTagged === true);

const name = (field: Field): fc.Arbitrary<string> =>
  fc.constantFrom(...field.nxm, ...(field.nxm[0]!.startsWith('OXM_OF_IN_PORT') ? [] : [field.name]));

const range = (first: number, bits: number, width: number): string =>
  bits === width ? '[]' : bits === 1 ? `[${first}]` : `[${first}..${first + bits - 1}]`;

/** So many bits of one of these fields. */
const bitsOf = (fields: readonly Field[], bits: number): fc.Arbitrary<string> =>
  fc
    .constantFrom(...fields.filter(({ width }) => width >= bits))
    .chain((field) =>
      fc
        .tuple(name(field), fc.nat(field.width - bits))
        .map(([text, first]) => text + range(first, bits, field.width)),
    );

const someBits = (fields: readonly Field[], most = 128): fc.Arbitrary<string> =>
  fc
    .constantFrom(...fields)
    .chain((field) =>
      fc.integer({ min: 1, max: Math.min(most, field.width) }).chain((bits) => bitsOf([field], bits)),
    );

const twoOf = (from: readonly Field[], to: readonly Field[]): fc.Arbitrary<[string, string]> =>
  fc.constantFrom(...to).chain((field) => {
    const widest = Math.max(...from.map(({ width }) => width));
    return fc
      .integer({ min: 1, max: Math.min(widest, field.width) })
      .chain((bits) => fc.tuple(bitsOf(from, bits), bitsOf([field], bits)));
  });

const word32 = fc.integer({ min: 0, max: 0xffff_ffff });
const options = (all: Record<string, fc.Arbitrary<string>>): fc.Arbitrary<string[]> =>
  fc
    .shuffledSubarray(Object.keys(all))
    .chain((names) =>
      fc.tuple(...names.map((key) => all[key]!.map((text) => (text === '' ? key : `${key}=${text}`)))),
    );

const u16 = fc.nat(0xffff).map(String);
const u32 = word32.map(String);
const hexBytes = fc
  .uint8Array({ minLength: 1, maxLength: 20 })
  .map((all) => Array.from(all, (byte) => byte.toString(16).padStart(2, '0')).join('.'));
const none = fc.constant('');

function learn(packets: Packets): fc.Arbitrary<string> {
  // OVS cannot read the other one back where a flow learns.
  const readable = onWire(packets, ({ onTag, name }) => !onTag && name !== 'actset_output');
  const everywhere = FIELDS.filter(
    ({ name, nxm, requires, onTag }) =>
      nxm.length > 0 && !requires && !onTag && !/^(ct_|eth_type|actset)/.test(name),
  );
  const settable = everywhere.filter(isSettable({ text: '' }));
  const spec = fc.oneof(
    fc
      .constantFrom(...everywhere.filter(({ name }) => name !== 'vlan_vid'))
      .chain((field) => value(field).map((text) => `${field.name}=${text}`)),
    twoOf(readable, everywhere).map(([from, to]) => `${to}=${from}`),
    twoOf(readable, settable).map(([from, to]) => `load:${from}->${to}`),
    fc
      .constantFrom(...settable)
      .chain((field) =>
        fc
          .integer({ min: 1, max: Math.min(64, field.width) })
          .chain((bits) => fc.tuple(number(bits), bitsOf([field], bits))),
      )
      .map(([text, to]) => `load:${text}->${to}`),
    someBits(readable, 32).map((from) => `output:${from}`),
    ipv4.map((text) => `eth_type=0x800,ip_src=${text}`),
    u16.map((text) => `dl_type=0x86dd,nw_proto=6,tcp_dst=${text}`),
  );
  const head = options({
    table: fc.nat(254).map(String),
    idle_timeout: u16,
    hard_timeout: u16,
    fin_idle_timeout: u16,
    fin_hard_timeout: u16,
    priority: u16,
    cookie: number(64),
    send_flow_rem: none,
    delete_learned: none,
    limit: u32,
    result_dst: bitsOf(settable, 1),
  });
  return fc
    .tuple(head, fc.array(spec, { maxLength: 4 }))
    .map(([first, specs]) => `learn(${[...first, ...specs].join(',')})`);
}

const controller = fc.oneof(
  fc.constantFrom('controller', 'CONTROLLER:100', 'controller:0'),
  options({
    max_len: u16,
    reason: fc.constantFrom('no_match', 'action', 'invalid_ttl', 'action_set', 'group', 'packet_out'),
    id: u16,
    userdata: hexBytes,
    pause: none,
    meter_id: fc.integer({ min: 1, max: 1000 }).map(String),
  }).map((all) => `controller(${all.join(',')})`),
);

const sample = fc
  .tuple(
    fc.integer({ min: 1, max: 0xffff }),
    options({ collector_set_id: u32, obs_domain_id: u32, obs_point_id: u32, sampling_port: port }),
    fc.constantFrom('', ',ingress', ',egress'),
  )
  .map(([share, rest, way]) => `sample(${[`probability=${share}`, ...rest].join(',')}${way})`);

/** Addresses and ports to choose from, of packets of a protocol. */
function natRange(isV6: boolean): fc.Arbitrary<string> {
  const bits = isV6 ? 128 : 32;
  const ends = (all: fc.Arbitrary<bigint>) => fc.tuple(all, all).map(([a, b]) => (a < b ? [a, b] : [b, a]));
  const range = (first: string, last: string) => (first === last ? first : `${first}-${last}`);
  const write = (value: bigint, hasPorts: boolean) =>
    isV6 && hasPorts ? `[${writeAddress[bits]!(value)}]` : writeAddress[bits]!(value);
  const addresses = ends(fc.bigInt(1n, (1n << BigInt(bits)) - 1n));
  const ports = fc.option(ends(fc.bigInt(1n, 0xffffn)), { nil: undefined });
  return fc.tuple(addresses, ports).map(([[first, last], some]) => {
    const written = range(write(first!, some !== undefined), write(last!, some !== undefined));
    return some ? `${written}:${range(`${some[0]}`, `${some[1]}`)}` : written;
  });
}

function nat(isV6: boolean): fc.Arbitrary<string> {
  const modes = ['', ',persistent', ',hash', ',random', ',persistent,random', ',hash,persistent'];
  return fc.oneof(
    fc.constantFrom('nat', 'nat(src)', 'nat(dst)', 'nat()'),
    fc
      .tuple(fc.constantFrom('src', 'dst'), natRange(isV6), fc.constantFrom(...modes))
      .map(([end, range, mode]) => `nat(${end}=${range}${mode})`),
  );
}

/** The helper of a protocol, if it has one. */
const helper = ({ nwProto }: Packets): string =>
  nwProto === 6 ? 'alg=ftp' : nwProto === 17 ? 'alg=tftp' : '';

const COMMITTED = FIELDS.filter(({ committed }) => committed);

/** @param setting what may stand in exec beside move */
function ct(packets: Packets, setting: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const readable = onWire(packets, ({ onTag }) => !onTag || packets.isTagged === true);
  const zone = fc.oneof(
    u16,
    bitsOf(
      // OVS cannot read the other one back here.
      readable.filter(({ name }) => name !== 'actset_output'),
      16,
    ),
  );
  const move = twoOf(readable, COMMITTED).map(([from, to]) => `move:${from}->${to}`);
  const some = (text: fc.Arbitrary<string>) => fc.option(text, { nil: undefined });
  return fc
    .tuple(
      fc.constantFrom('commit', 'commit,force'),
      some(fc.nat(254).map((table) => `table=${table}`)),
      some(zone.map((text) => `zone=${text}`)),
      some(nat(packets.ethType === V6)),
      some(list([setting, move], 3).map((actions) => `exec(${actions.join(',')})`)),
      fc.boolean(),
      fc.constantFrom('', helper(packets)),
    )
    .map(([commit, table, from, translation, exec, commits, alg]) => {
      const isPlain = translation === undefined || /^nat(\(\))?$/.test(translation);
      const parts = commits
        ? [translation, from, alg, commit, table, exec]
        : [table, isPlain ? translation : undefined, from, alg];
      return `ct(${parts.filter((part) => part).join(',')})`;
    });
}

/** What every version of OpenFlow writes alike. */
function common(packets: Packets): fc.Arbitrary<string>[] {
  const readable = onWire(packets, ({ onTag }) => !onTag || packets.isTagged === true);
  const settable = readable.filter(isSettable(packets));
  const isIp = packets.ethType === V4 || packets.ethType === V6;
  const isMpls = packets.ethType === 0x8847 || packets.ethType === 0x8848;
  return [
    port.map((text) => `output:${text}`),
    fc.nat(0xfeff).map(String),
    fc
      .tuple(fc.oneof(port, fc.constant('in_port')), fc.integer({ min: 14, max: 0xffff_ffff }))
      .map(([text, length]) => `output(port=${text},max_len=${length})`),
    someBits(readable, 64).map((text) => `output:${text}`),
    fc.constantFrom('in_port', 'FLOOD', 'all', 'Normal', 'LOCAL', 'exit', 'note:'),
    controller,
    twoOf(readable, settable).map(([from, to]) => `move:${from}->${to}`),
    someBits(readable).map((text) => `push:${text}`),
    someBits(settable).map((text) => `pop:${text}`),
    fc.tuple(port, fc.nat(254)).map(([from, table]) => `resubmit(${from},${table})`),
    fc.nat(254).map((table) => `resubmit(,${table})`),
    ...(packets.hasConnection ? [fc.nat(254).map((table) => `resubmit(,${table},ct)`)] : []),
    port.map((from) => `resubmit:${from}`),
    fc.integer({ min: 0, max: 0xffff_ff00 }).map((group) => `group:${group}`),
    hexBytes.map((text) => `note:${text}`),
    ...(packets.nwProto === 6
      ? [options({ idle_timeout: u16, hard_timeout: u16 }).map((all) => `fin_timeout(${all.join(',')})`)]
      : []),
    sample,
    learn(packets),
    fc.constant('ct_clear'),
    ...(isIp
      ? [
          fc.constant('dec_ttl'),
          fc.array(u16, { minLength: 1, maxLength: 6 }).map((ids) => `dec_ttl(${ids})`),
        ]
      : []),
    ...(isMpls ? [fc.constant('dec_mpls_ttl')] : []),
  ];
}

const load = (fields: readonly Field[]): fc.Arbitrary<string> =>
  fc
    .constantFrom(...fields)
    .chain((field) =>
      fc
        .integer({ min: 1, max: Math.min(64, field.width) })
        .chain((bits) => fc.tuple(number(bits), bitsOf([field], bits))),
    )
    .map(([text, to]) => `load:${text}->${to}`);

/** `load` and the actions that set one field each, as OpenFlow 1.0 and its extensions have them. */
function early(packets: Packets): fc.Arbitrary<string>[] {
  const settable = onWire(packets, isSettable(packets)).filter(({ width }) => width <= 64);
  const isIp = packets.ethType === V4 || packets.ethType === V6;
  return [
    load(settable),
    ...(isIp ? [ct(packets, load(COMMITTED))] : []),
    mac.map((text) => `mod_dl_src:${text}`),
    mac.map((text) => `mod_dl_dst:${text}`),
    fc.nat(0xfff).map((vid) => `mod_vlan_vid:${vid}`),
    fc.nat(7).map((pcp) => `set_vlan_pcp:${pcp}`),
    number(64).map((text) => `set_tunnel64:${text}`),
    number(64).map((text) => `set_tunnel:${text}`),
    ...(packets.ethType === V4
      ? [ipv4.map((text) => `mod_nw_src:${text}`), ipv4.map((text) => `mod_nw_dst:${text}`)]
      : []),
    ...(isIp ? [fc.nat(63).map((dscp) => `mod_nw_tos:${dscp << 2}`)] : []),
    ...([6, 17, 132].includes(packets.nwProto ?? 0)
      ? [u16.map((text) => `mod_tp_src:${text}`), u16.map((text) => `mod_tp_dst:${text}`)]
      : []),
    ...(packets.ethType === 0x8847
      ? [
          number(20).map((text) => `set_mpls_label:${text}`),
          number(3).map((text) => `set_mpls_tc(${text})`),
          number(8).map((text) => `set_mpls_ttl:${text}`),
        ]
      : []),
  ];
}

/** `set_field`, which OpenFlow 1.0 has no word for. */
function late(packets: Packets): fc.Arbitrary<string>[] {
  const settable = FIELDS.filter(
    (field) => onPackets(packets, field) && isSettable(packets)(field) && field.name !== 'in_port_oxm',
  );
  const set = (fields: readonly Field[]): fc.Arbitrary<string> =>
    fc
      .constantFrom(...fields)
      .chain((field) => maskedValue(field, true).map((text) => `set_field:${text}->${field.name}`));
  const isIp = packets.ethType === V4 || packets.ethType === V6;
  return [set(settable), ...(isIp ? [ct(packets, set(COMMITTED))] : [])];
}

/** Only at the end: after it there may be no tag to speak of. */
const untagging = fc.constantFrom('strip_vlan', 'pop_vlan');

/** Only at the end: what is behind a label is not known any more. */
const mplsTail = (packets: Packets): fc.Arbitrary<string> =>
  packets.ethType === 0x8847
    ? fc.constantFrom('pop_mpls:0x0800', 'pop_mpls:0x8847', 'pop_mpls:0x6558', 'push_mpls:0x8847')
    : fc.constantFrom('push_mpls:0x8847', 'push_mpls:0x8848,dec_mpls_ttl');

const list = (all: readonly fc.Arbitrary<string>[], most: number): fc.Arbitrary<string[]> =>
  fc.array(fc.oneof(...all), { maxLength: most });

const nested = (all: readonly fc.Arbitrary<string>[]): fc.Arbitrary<string> =>
  list(all, 3).map((actions) => `clone(${actions.join(',')})`);

const conjunctions = fc
  .array(fc.tuple(word32, fc.integer({ min: 2, max: 64 }), fc.nat(63)), { minLength: 1, maxLength: 3 })
  .map((all) => all.map(([id, of, clause]) => `conjunction(${id},${(clause % of) + 1}/${of})`));

function earlyActions(packets: Packets): fc.Arbitrary<string[]> {
  const all = [...common(packets), ...early(packets)];
  const tail = fc.option(fc.oneof(mplsTail(packets), untagging), { nil: undefined });
  const ordinary = fc
    .tuple(list([...all, nested(all)], 5), tail)
    .map(([actions, last]) => [...actions, ...(last === undefined ? [] : [last])]);
  return fc.oneof({ weight: 8, arbitrary: ordinary }, conjunctions);
}

function lateActions(packets: Packets): fc.Arbitrary<string[]> {
  const settings = late(packets);
  const all = [...common(packets), ...settings];
  const set = fc.oneof(
    ...settings,
    fc.constantFrom('output:3', 'group:7', 'dec_mpls_ttl', 'NORMAL', 'in_port', 'ct_clear'),
  );
  const some = (text: fc.Arbitrary<string>) => fc.option(text, { nil: undefined });
  return fc
    .tuple(
      some(fc.integer({ min: 1, max: 0xffff_0000 }).map((meter) => `meter:${meter}`)),
      some(fc.constantFrom('push_vlan:0x8100', 'push_vlan:0x88a8')),
      list([...all, nested(all)], 4).map((actions) => actions.join(',') || undefined),
      some(fc.constant('clear_actions')),
      some(
        fc.array(set, { minLength: 1, maxLength: 3 }).map((actions) => `write_actions(${actions.join(',')})`),
      ),
      some(fc.tuple(number(64), number(64)).map(([metadata, mask]) => `write_metadata:${metadata}/${mask}`)),
      some(fc.integer({ min: 4, max: 254 }).map((table) => `goto_table:${table}`)),
    )
    .map((parts) => parts.filter((part) => part !== undefined));
}

const properties = (more: Record<string, fc.Arbitrary<string>>): fc.Arbitrary<string[]> =>
  fc
    .tuple(
      fc.nat(3).map((table) => `table=${table}`),
      options({
        priority: u16,
        cookie: number(63), // all 64 ones mean none to ovs-ofctl
        idle_timeout: u16,
        hard_timeout: u16,
        send_flow_rem: none,
        check_overlap: none,
        ...more,
      }),
    )
    .map(([table, rest]) => [table, ...rest]);

function flows(
  head: fc.Arbitrary<string[]>,
  actions: (packets: Packets) => fc.Arbitrary<string[]>,
  unsaid = '',
): fc.Arbitrary<string> {
  return fc.constantFrom(...PACKETS).chain((packets) =>
    fc.tuple(head, conditions(packets, unsaid), actions(packets)).map(([said, match, todo]) => {
      const before = [...said, packets.text, ...match].filter((text) => text !== '');
      return `${before.join(',')},actions=${todo.join(',') || 'drop'}`;
    }),
  );
}

/** Flows that OpenFlow 1.0 with Nicira's extensions can say. */
export const earlyFlow = flows(properties({}), earlyActions);

/** Flows that OpenFlow 1.5 can say; it has no way to match only some bits of a TCI. */
export const lateFlow = flows(
  properties({ importance: u16, reset_counts: none, no_packet_counts: none, no_byte_counts: none }),
  lateActions,
  'vlan_tci',
);
