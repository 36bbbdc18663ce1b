/** What rules about connections come to in megaflows. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  CT_COMMIT,
  CT_NAT,
  DROP_STATE_FULL,
  Key,
  NAT_HAS_ADDRESS,
  NAT_HAS_PORTS,
  NAT_RANDOM,
  NAT_SOURCE,
  OP_CT,
  OP_CT_LABEL,
  OP_CT_NAT,
  OP_DROP,
  OP_END,
  OP_RECIRCULATE,
} from '../../src/datapath.ts';
import { formatMegaflow, formatPacket } from '../../src/table/megaflow.ts';
import { parseFlows } from '../../src/table/parse.ts';
import { Tables } from '../../src/table/tables.ts';
import { translate } from '../../src/table/translate.ts';
import { pick, type Random, seeded } from '../support/seeded.ts';
import { contextOf, type Given, type TestContext } from './context.ts';
import { parseFlow } from './flow.ts';
import { keyOf } from './packets.ts';

const udp =
  'in_port=1,dl_src=02:00:00:00:00:0a,dl_dst=02:00:00:00:00:0b,udp,nw_src=10.1.1.1,nw_dst=10.1.1.2,tp_src=1,tp_dst=2';
const tcp = udp.replace('udp', 'tcp');
const tcp6 = 'in_port=1,tcp6,ipv6_src=fe80::1,ipv6_dst=fe80::2,tp_src=1,tp_dst=2';
const HEAD = 'in_port(1),eth_type(0x0800),ipv4(frag=no), actions:';

function world(flows: string, given: Given = {}): TestContext {
  const tables = new Tables();
  tables.add(parseFlows(flows), 0);
  const ports = new Map([1, 2, 3].map((number) => [number, { name: `p${number}`, up: true }]));
  return contextOf({ tables, ports, ...given });
}

/** The key of a packet that comes round again. */
function roundKey(text: string, recirculation = 1): Uint8Array {
  const key = keyOf(text);
  new DataView(key.buffer).setUint16(Key.recirculation, recirculation, true);
  return key;
}

function show(context: TestContext, key: Uint8Array): string {
  const { mask, program } = translate(key, context);
  return formatMegaflow(key, mask, program, new Map());
}

/** What becomes of a packet that comes in. */
const first = (flows: string, packet: string): string => show(world(flows), keyOf(packet)).replace(HEAD, '');

/** Of two packets: the megaflow of the first, and of the second when it comes round again. */
function rounds(flows: string, packet: string, tracked: string): string[] {
  const context = world(flows);
  return [show(context, keyOf(packet)).replace(HEAD, ''), show(context, roundKey(tracked))];
}

const tracked = (state: string, packet = udp, rest = ''): string => `ct_state=${state},${packet}${rest}`;

test('an action without a table makes a connection and goes on with a packet of which nothing is known', () => {
  assert.equal(
    first('udp,actions=ct(commit),2', udp),
    'in_port(1),eth_type(0x0800),ipv4(proto=17,frag=no), actions:ct(commit),2',
  );
  assert.equal(
    first('ip,actions=ct(commit),resubmit(,1)\ntable=1,ct_state=-trk,actions=2', udp),
    'ct(commit),2',
  );
  assert.equal(
    first('ip,actions=ct(commit,zone=1),ct(commit,zone=2),2', udp),
    'ct(commit,zone=1),ct(commit,zone=2),2',
  );
  assert.equal(first('ip,actions=ct(commit)', udp), 'ct(commit),drop');
  assert.equal(first('ip,actions=ct(commit,force),2', udp), 'ct(force_commit),2');
  assert.equal(
    first('ip,actions=mod_dl_dst:00:00:00:00:00:07,ct(commit),2', udp),
    'set(eth(dst=00:00:00:00:00:07)),ct(commit),2',
  );
});

test('that a packet was not tracked costs nothing to know', () => {
  const flows =
    'priority=2,ip,ct_state=-trk,actions=ct(table=1)\npriority=1,ip,ct_state=+trk,ct_mark=5,actions=2';
  assert.equal(first(flows, udp), 'ct(),recirc(0x1)');
  assert.equal(
    first('ip,ct_state=+trk,actions=2\nip,ct_zone=5,actions=3\nip,ct_label=1,actions=3', udp),
    'drop',
  );
});

test('a table gets the packet with its connection, and matches it', () => {
  const flows = `ip,ct_state=-trk,actions=ct(table=0)
    ip,ct_state=+trk+est,actions=2
    ip,ct_state=+trk+new,actions=ct(commit),2`;
  assert.deepEqual(rounds(flows, udp, tracked('0x22', udp, ',ct_nw_proto=17')), [
    'ct(),recirc(0x1)',
    'recirc_id(0x1),in_port(1),ct_state(+est+trk),eth_type(0x0800),ipv4(frag=no), actions:2',
  ]);
  assert.match(rounds(flows, udp, tracked('0x21'))[1]!, /ct_state\(\+new.*\+trk\).*actions:ct\(commit\),2$/);
});

test('registers and the ingress port go along, and the walk behind goes on without', () => {
  const flows = `ip,actions=load:7->reg0[],load:9->metadata[0..7],set_field:3->in_port,ct(table=1),load:8->reg0[],resubmit(,2),1
    table=1,reg0=7,metadata=9,in_port=3,actions=1,3
    table=2,reg0=8,ct_state=-trk,actions=2`;
  assert.deepEqual(rounds(flows, udp, tracked('+trk+new')), [
    'ct(),recirc(0x1),2,1',
    'recirc_id(0x1),in_port(1),eth_type(0x0800),ipv4(frag=no), actions:1',
  ]);
});

test('each resubmit forks', () => {
  const flows = `ip,actions=resubmit(,1),resubmit(,2)
    table=1,ip,actions=ct(table=3)
    table=2,ip,actions=ct(table=3)`;
  assert.equal(first(flows, udp), 'ct(),recirc(0x1),ct(),recirc(0x1)', 'equal states, equal numbers');
  const different = flows.replace('table=2,ip,actions=', 'table=2,ip,actions=load:1->reg0[],');
  assert.equal(first(different, udp), 'ct(),recirc(0x1),ct(),recirc(0x2)');
});

test('there may be no number for a packet that is to go round', () => {
  const { program } = translate(keyOf(udp), world('ip,actions=ct(table=1)', { freeze: () => undefined }));
  assert.deepEqual([...program.slice(-3)], [OP_DROP, DROP_STATE_FULL, OP_END]);
});

test('the action set is done by the packet that goes on and by the one that goes round', () => {
  const flows = `ip,actions=ct(table=1),write_actions(output:2)
    table=1,actions=write_actions(output:3)`;
  assert.deepEqual(
    rounds(flows, udp, tracked('+trk+new')).map((text) => text.replace(/.*actions:/, '')),
    ['ct(),recirc(0x1),2', '3'],
  );
  const early =
    'ip,actions=write_actions(output:2),goto_table:1\ntable=1,ip,actions=ct(table=2)\ntable=2,actions=drop';
  assert.deepEqual(
    rounds(early, udp, tracked('+trk+new')).map((text) => text.replace(/.*actions:/, '')),
    ['ct(),recirc(0x1),2', '2'],
  );
});

test('a zone comes from a field, which then counts', () => {
  assert.equal(
    first('ip,actions=load:0x1001->reg0[],ct(commit,zone=reg0[0..15]),2', udp),
    'ct(commit,zone=4097),2',
  );
  assert.equal(
    first('tcp,actions=ct(commit,zone=NXM_OF_TCP_DST[]),2', tcp),
    'in_port(1),eth_type(0x0800),ipv4(proto=6,frag=no),tcp(dst=2), actions:ct(commit,zone=2),2',
  );
  const flows = `ip,ct_state=-trk,actions=ct(table=0,zone=5)
    ip,ct_state=+trk,actions=ct(commit,zone=NXM_NX_CT_ZONE[]),2`;
  assert.equal(
    rounds(flows, udp, tracked('+trk+new', udp, ',ct_zone=5'))[1],
    'recirc_id(0x1),in_port(1),ct_state(+trk),ct_zone(5),eth_type(0x0800),ipv4(frag=no), actions:ct(commit,zone=5),2',
  );
  assert.match(
    rounds(
      flows.replace('CT_ZONE[]', 'CT_LABEL[0..15]'),
      udp,
      tracked('+trk+new', udp, ',ct_label=0x70005'),
    )[1]!,
    /ct_label\(0x5\/0xffff\).*actions:ct\(commit,zone=5\),2$/,
  );
});

test('mark and label are set to numbers, in bits, and to what the packet has', () => {
  const actions = (exec: string, flow = 'ip') =>
    first(`${flow},actions=ct(commit,exec(${exec})),2`, tcp).replace(/.*actions:/, '');
  assert.equal(actions('set_field:1->ct_mark'), 'ct(commit,mark=0x1/0xffffffff),2');
  assert.equal(actions('set_field:0x2/0x6->ct_mark'), 'ct(commit,mark=0x2/0x6),2');
  assert.equal(actions('load:0->NXM_NX_CT_MARK[4..7]'), 'ct(commit,mark=0x0/0xf0),2');
  assert.equal(actions('set_field:2/6->ct_mark,load:1->ct_mark[0]'), 'ct(commit,mark=0x3/0x7),2');
  assert.equal(
    actions('set_field:0x0a000d000005000001->ct_label'),
    'ct(commit,label=0xa000d000005000001/0xffffffffffffffffffffffffffffffff),2',
  );
  assert.equal(
    actions('load:1->ct_label[32],load:3->ct_label[120..127]'),
    'ct(commit,label=0x3000000000000000000000100000000/0xff000000000000000000000100000000),2',
  );
  assert.equal(actions('move:NXM_OF_TCP_DST[]->ct_mark[0..15]', 'tcp'), 'ct(commit,mark=0x2/0xffff),2');
  assert.equal(
    actions('set_field:5->ct_mark,move:ct_mark->ct_label[0..31]'),
    'ct(commit,mark=0x5/0xffffffff,label=0x5/0xffffffff),2',
  );
  assert.match(
    first('tcp,actions=ct(commit,exec(move:NXM_OF_TCP_DST[0..7]->ct_mark[0..7])),2', tcp),
    /tcp\(dst=0x2\/0xff\)/,
  );
  assert.equal(
    first('ip,actions=load:6->reg0[],ct(commit,exec(move:reg0->ct_mark)),2', tcp),
    'ct(commit,mark=0x6/0xffffffff),2',
  );
  assert.equal(
    first('ip,actions=ct(commit,exec(set_field:5->ct_mark)),resubmit(,1)\ntable=1,ct_mark=0,actions=2', tcp),
    'ct(commit,mark=0x5/0xffffffff),2',
    'what was set is not seen behind',
  );
});

test('a new connection is translated as asked', () => {
  const nat = (text: string, packet = tcp) =>
    first(`${packet === tcp ? 'tcp' : 'tcp6'},actions=ct(commit,${text}),2`, packet).replace(
      /.*actions:/,
      '',
    );
  for (const text of [
    'nat',
    'nat(src)',
    'nat(dst,random)',
    'nat(src=10.1.1.240)',
    'nat(src=10.1.1.240-10.1.1.255:1-65535,persistent,hash)',
    'nat(dst=10.1.1.2:80,random)',
  ]) {
    assert.equal(nat(text), `ct(commit,${text}),2`);
  }
  for (const text of ['nat(src=fe80::9-fe80::f)', 'nat(dst=[2001:db8::]:80)']) {
    assert.equal(nat(text, tcp6), `ct(commit,${text}),2`);
  }
  assert.equal(first('ip,actions=ct(nat,table=1)', udp), 'ct(nat),recirc(0x1)');
});

test('a helper is asked for by the flow', () => {
  assert.equal(
    first('tcp,actions=ct(commit,zone=3,alg=ftp,nat),2', tcp).replace(/.*actions:/, ''),
    'ct(commit,zone=3,helper=ftp,nat),2',
  );
  assert.equal(
    first('udp,actions=ct(commit,alg=tftp),2', udp).replace(/.*actions:/, ''),
    'ct(commit,helper=tftp),2',
  );
});

test('what is set after a translation leaves alone what that has replaced', () => {
  assert.equal(
    first('tcp,actions=mod_tp_src:5,ct(commit,nat(src=10.0.0.1:80)),mod_tp_dst:9,2', tcp).replace(
      /.*actions:/,
      '',
    ),
    'set(tcp(src=5)),ct(commit,nat(src=10.0.0.1:80)),set(tcp(dst=9)),2',
  );
});

test('a group that translates leaves packets alone that cannot have the address', () => {
  const bucket = {
    id: 1,
    weight: 1,
    actions: parseFlow('ip,actions=ct(commit,nat(dst=10.1.1.2),table=1)').actions,
  };
  const groups = new Map([[1, { id: 1, type: 'indirect' as const, buckets: [bucket] }]]);
  const of = (packet: string) =>
    show(world('actions=group:1', { groups }), keyOf(packet)).replace(/.*actions:/, '');
  assert.equal(
    of(udp),
    'tally(1),clone(tally(2),ct(commit,nat(dst=10.1.1.2)),recirc(0x1))'.replace(
      'tally(2),clone(',
      'clone(tally(2),',
    ),
  );
  assert.equal(of(tcp6), 'tally(1),clone(tally(2),ct(commit,nat),recirc(0x1))');
});

test('the words of a program say all of it', () => {
  const flow =
    'ip,actions=ct(commit,zone=7,nat(src=10.1.1.240-10.1.1.255:1000-2000,random),exec(set_field:0x5->ct_mark,load:1->ct_label[127],load:2->ct_label[0..7]),table=3)';
  const words = (...bytes: number[]) => new DataView(Uint8Array.from(bytes).buffer).getUint32(0, true);
  assert.deepEqual(
    [...translate(keyOf(udp), world(flow)).program],
    [
      ...[
        OP_CT_LABEL,
        words(0x80, 0, 0, 0),
        0,
        0,
        words(0, 0, 0, 2),
        words(0x80, 0, 0, 0),
        0,
        0,
        words(0, 0, 0, 0xff),
      ],
      ...[OP_CT_NAT, NAT_SOURCE | NAT_RANDOM | NAT_HAS_ADDRESS | NAT_HAS_PORTS],
      ...[words(10, 1, 1, 240), 0, 0, 0, words(10, 1, 1, 255), 0, 0, 0, 1000 | (2000 << 16)],
      ...[OP_CT, CT_COMMIT | CT_NAT, 7, 5, 0xffff_ffff],
      ...[OP_RECIRCULATE, 1, OP_END],
    ],
  );
});

test('ct_clear makes the packet one that was never tracked, where it may have been', () => {
  assert.equal(first('ip,actions=ct_clear,2', udp), '2');
  assert.equal(first('ip,actions=ct(commit),ct_clear,2,ct_clear', udp), 'ct(commit),ct_clear,2');
  const flows = `ip,ct_state=-trk,actions=ct(table=0)
    ip,ct_state=+trk,actions=ct_clear,mod_nw_dst:10.1.1.9,resubmit(,1)
    table=1,ip,ct_state=-trk,ct_mark=0,actions=ct(commit,exec(set_field:2->ct_mark)),2`;
  assert.equal(
    rounds(flows, udp, tracked('+trk+new', udp, ',ct_mark=9'))[1],
    'recirc_id(0x1),in_port(1),ct_state(+trk),eth_type(0x0800),ipv4(frag=no), ' +
      'actions:ct_clear,set(ipv4(dst=10.1.1.9)),ct(commit,mark=0x2/0xffffffff),2',
  );
});

test('a controller sees of a connection what the tables see', () => {
  assert.equal(first('ip,actions=ct(commit),controller,2', udp), 'ct(commit),ct_clear,controller(1),2');
  const flows = 'ip,ct_state=-trk,actions=ct(table=0)\nip,ct_state=+trk,actions=controller';
  assert.match(rounds(flows, udp, tracked('+trk+est'))[1]!, /actions:controller\(1\)$/);
  const labelled = 'in_port=1,mpls,mpls_label=5,mpls_ttl=9,mpls_bos=1';
  const popped = 'mpls,actions=pop_mpls:0x0800,resubmit(,1)\ntable=1,ip,actions=ct(commit),2';
  assert.deepEqual(
    rounds(popped, labelled, udp).map((text) => text.replace(/.*actions:/, '')),
    ['pop_mpls(eth_type=0x800),recirc(0x1)', 'ct(commit),2'],
  );
});

test('the first packet of a connection is matched and read', () => {
  const flows = `ip,actions=ct(table=1)
    ipv6,actions=ct(table=1)
    table=1,priority=3,ct_state=+trk-inv,ip,ct_nw_src=10.9.0.0/16,actions=3
    table=1,priority=2,ct_state=+est,ip,ct_nw_src=10.1.1.2,ct_nw_dst=10.1.1.1,ct_nw_proto=17,ct_tp_src=2,ct_tp_dst=1,actions=2
    table=1,priority=2,ct_state=+est,ipv6,ct_ipv6_dst=fe80::/64,actions=move:ct_tp_src->reg0[0..15],output:reg0[]`;
  const reply = tracked(
    'est|rpl|trk',
    udp,
    ',ct_nw_src=10.1.1.2,ct_nw_dst=10.1.1.1,ct_nw_proto=17,ct_tp_src=2,ct_tp_dst=1',
  );
  assert.equal(
    rounds(flows, udp, reply)[1],
    'recirc_id(0x1),in_port(1),ct_state(+est),ct_tuple4(src=10.1.1.2,dst=10.1.1.1,proto=17,tp_src=2,tp_dst=1),' +
      'eth_type(0x0800),ipv4(frag=no), actions:2',
  );
  const six = tracked(
    'est|trk',
    tcp6,
    ',ct_ipv6_src=fe80::1,ct_ipv6_dst=fe80::2,ct_nw_proto=6,ct_tp_src=3,ct_tp_dst=2',
  );
  assert.equal(
    rounds(flows, tcp6, six)[1],
    'recirc_id(0x1),in_port(1),ct_state(+est),ct_tuple6(dst=fe80::/64,proto=6,tp_src=3),' +
      'eth_type(0x86dd),ipv6(frag=no), actions:3',
  );
});

test('a table may see the addresses and ports of the first packet in place of the packet’s own', () => {
  const flows = `ip,actions=ct(table=1)
    ipv6,actions=ct(table=1)
    table=1,ct_state=+trk-inv,actions=resubmit(,2,ct),resubmit(,2)
    table=2,priority=5,udp,nw_src=10.9.0.1,actions=1
    table=2,priority=5,udp,nw_src=10.1.1.2,nw_dst=10.1.1.1,tp_src=2,actions=2
    table=2,priority=5,udp,nw_src=10.1.1.1,actions=3
    table=2,priority=5,tcp6,ipv6_src=fe80::/16,ipv6_dst=fe80::7,tp_dst=9,actions=2`;
  const tuple = ',ct_nw_src=10.1.1.2,ct_nw_dst=10.1.1.1,ct_nw_proto=17,ct_tp_src=2,ct_tp_dst=1';
  assert.equal(
    rounds(flows, udp, tracked('est|rpl|trk', udp, tuple))[1],
    'recirc_id(0x1),in_port(1),ct_state(-inv+trk),ct_tuple4(src=10.1.1.2,dst=10.1.1.1,proto=17,tp_src=2),' +
      'eth_type(0x0800),ipv4(src=10.1.1.1,proto=17,frag=no), actions:2,3',
  );
  const tuple6 = ',ct_ipv6_src=fe80::6,ct_ipv6_dst=fe80::7,ct_nw_proto=6,ct_tp_src=8,ct_tp_dst=9';
  assert.match(rounds(flows, tcp6, tracked('new|trk', tcp6, tuple6))[1]!, /actions:2$/);
  assert.match(rounds(flows, udp, tracked('new|trk', udp))[1]!, /actions:3$/, 'no first packet is known');
});

test('a packet is shown with its connection when it has been tracked', () => {
  const tuple = ',ct_nw_src=10.1.1.1,ct_nw_dst=10.1.1.2,ct_nw_proto=17,ct_tp_src=1,ct_tp_dst=2';
  assert.match(
    formatPacket(roundKey(tracked('est|rpl|trk', udp, tuple)), new Map()),
    /ct_state\(est\|rpl\|trk\),.*ct_tuple4\(src=10\.1\.1\.1,dst=10\.1\.1\.2,proto=17,tp_src=1,tp_dst=2\)/,
  );
  assert.doesNotMatch(formatPacket(keyOf(udp), new Map()), /ct_/);
});

const STATES = [
  'new|trk',
  'est|trk',
  'est|rpl|trk',
  'rel|rpl|trk',
  'new|rel|trk',
  'est|rpl|trk|snat',
  'inv|trk',
  '0',
];
const ADDRESSES = ['10.1.1.1', '10.1.1.2', '10.9.0.1'];
const ADDRESSES6 = ['fe80::1', 'fe80::2', 'fd00::1'];

/** A packet, tracked or not, that comes round. */
function randomTracked(random: Random): Uint8Array {
  const state = pick(random, STATES);
  const kind = pick(random, ['udp', 'tcp', 'tcp6', 'discovery']);
  const isV6 = kind !== 'udp' && kind !== 'tcp';
  const addresses = isV6 ? ADDRESSES6 : ADDRESSES;
  const parts = [
    `in_port=${pick(random, [1, 2])}`,
    isV6 ? `ipv6_src=${pick(random, addresses)}` : `nw_src=${pick(random, addresses)}`,
  ];
  if (kind === 'discovery') {
    parts.push(
      `icmp6,icmp_type=135,icmp_code=0,nd_target=${pick(random, addresses)},nd_sll=02:00:00:00:00:01`,
    );
    if (state !== '0') parts.push('ct_state=inv|trk');
    return roundKey(parts.join());
  }
  parts.push(kind, `tp_dst=${pick(random, [1, 2])}`, `ct_state=${state}`);
  if (state === '0') return roundKey(parts.join());
  parts.push(`ct_zone=${pick(random, [0, 5])}`);
  if (state === 'inv|trk') return roundKey(parts.join());
  const family = isV6 ? 'ipv6' : 'nw';
  for (const end of ['src', 'dst']) parts.push(`ct_${family}_${end}=${pick(random, addresses)}`);
  for (const end of ['src', 'dst']) parts.push(`ct_tp_${end}=${pick(random, [1, 2])}`);
  parts.push(`ct_nw_proto=${kind === 'udp' ? 17 : 6}`);
  parts.push(`ct_mark=${random.below(4)}`, `ct_label=${random.below(4)}`);
  return roundKey(parts.join());
}

const CONDITIONS = [
  ...[
    'ct_mark=1',
    'ct_mark=2/2',
    'ct_label=1',
    'ct_zone=5',
    'in_port=1',
    'ct_state=-inv',
    'ct_state=+trk+est',
  ],
  ...['ct_state=+new,ct_nw_proto=6', 'ct_state=+new,ct_tp_src=1', 'ct_state=+trk-inv,ct_tp_dst=0/1'],
  ...['ip,ct_state=+trk-inv,ct_nw_src=10.1.1.1', 'ip,ct_state=+est,ct_nw_dst=10.0.0.0/13', 'udp,tp_dst=1'],
  ...['ipv6,ct_state=+est,ct_ipv6_src=fe80::/16', 'ipv6,ct_state=+new,ct_ipv6_dst=fe80::2', 'tcp6'],
  'icmp6,icmp_type=135,icmp_code=0,nd_target=fe80::1',
];
const ACTIONS = [
  ...['output:1', 'output:2', 'resubmit(,2)', 'ct_clear', 'output:NXM_NX_REG0[]', 'load:2->reg0[]', 'drop'],
  ...['move:ct_mark->reg0', 'move:ct_label[0..31]->reg0', 'move:ct_state->reg0', 'controller'],
];
const IP_ACTIONS = ['ct(commit,zone=NXM_NX_CT_ZONE[])', 'ct(table=2)', 'ct(nat),resubmit(,2)'];
const CONNECTION_ACTIONS = [
  'resubmit(,2,ct)',
  'resubmit(,3,ct)',
  'move:ct_tp_dst->reg0[0..15]',
  'move:ct_nw_proto->reg0[0..7]',
];

function randomRule(random: Random): string {
  const condition = pick(random, CONDITIONS);
  const actions = Array.from({ length: 1 + random.below(3) }, () => {
    const isIp = /^(ip|udp|tcp|icmp6)/.test(condition);
    const isConnection = /ct_state=\+(new|est|trk-inv)/.test(condition);
    const choices = [...ACTIONS, ...(isIp ? IP_ACTIONS : []), ...(isConnection ? CONNECTION_ACTIONS : [])];
    return pick(random, choices);
  });
  const list = actions.includes('drop') ? 'drop' : actions.join();
  return `table=${1 + random.below(3)},priority=${random.below(5)},${condition},actions=${list}`;
}

test(
  'whatever a megaflow lets in fares alike',
  seeded((random) => {
    let kin = 0;
    for (let run = 0; run < 40; run++) {
      const rules = Array.from({ length: 3 + random.below(15) }, () => randomRule(random));
      const context = world(['ip,actions=ct(table=1)', ...rules].join('\n'));
      translate(keyOf(udp), context);
      const packets = Array.from({ length: 80 }, () => randomTracked(random));
      const translations = packets.map((key) => translate(key, context));
      for (const [i, { mask, program }] of translations.entries()) {
        for (const [j, key] of packets.entries()) {
          if (key.some((byte, at) => (byte ^ packets[i]![at]!) & mask[at]!)) continue;
          const [one, other] = [packets[i]!, key].map((bytes) => Buffer.from(bytes).toString('hex'));
          assert.deepEqual(translations[j]!.program, program, `${one}\n${other}\n${rules.join('\n')}`);
          if (i !== j && one !== other) kin++;
        }
      }
    }
    assert.ok(kin > 1000, `only ${kin} packets were in another's megaflow`);
  }),
);
